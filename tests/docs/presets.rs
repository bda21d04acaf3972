//! docs/presets.md: the table of the built-in presets, written from them.

use std::path::Path;

use postbridge::template::catalog::Catalog;
use postbridge::template::preset::definition::PostbackPreset;
use postbridge::template::provenance::FactLevel;

use crate::support::golden;

const BEGIN: &str = "<!-- presets: made by tests/docs/presets.rs -->\n";
const END: &str = "<!-- end of presets -->\n";
const HEAD: &str = "| preset | receiver | level | in doubt | tracking URL | settings | the body decides |\n|---|---|---|---|---|---|---|\n";

fn line(preset: &PostbackPreset) -> String {
    let doubts = preset.doubts();
    let doubts = doubts.iter().map(|doubt| format!("`{}` ({})", doubt.about, doubt.reason()));
    let param = preset.click().map(|click| click.param.as_str());
    let settings = preset.settings().iter().filter(|setting| setting.name != "click_param");
    let settings = settings.map(|setting| match setting.required {
        true => format!("`{}`", setting.name),
        false => format!("`{}` (optional)", setting.name),
    });
    let columns = [
        format!("`{}`", preset.name()),
        format!("[{}]({})", preset.label(), preset.docs()),
        preset.level().map_or("no_source", FactLevel::as_str).to_owned(),
        doubts.collect::<Vec<_>>().join(", "),
        param.and_then(|param| preset.tracking(param)).map_or(String::new(), |piece| format!("`{piece}`")),
        settings.collect::<Vec<_>>().join(", "),
        if preset.reply_rules() > 0 { "yes" } else { "no" }.to_owned(),
    ];
    format!("| {} |\n", columns.join(" | "))
}

#[test]
fn the_page_of_presets_has_a_row_for_every_built_in_one() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/presets.md");
    let page = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("a beginning of the table");
    let (written, after) = rest.split_once(END).expect("an end of the table");
    let catalog = Catalog::load(None).unwrap();
    let names = catalog.preset_names().into_iter();
    let rows: String = names.map(|name| line(&catalog.preset(name).unwrap())).collect();
    let made = format!("{HEAD}{rows}");
    if golden::is_rewritten() {
        std::fs::write(&file, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(written, made, "run this test with BLESS=1 and look at what it changed in docs/presets.md");
}
