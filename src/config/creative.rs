//! `[[creative]]`: the ads of an offer that its campaigns show, each with the page that it leads to.

use crate::config::names::IdKind;
use crate::config::names::OFFER;
use crate::config::offer::landing;
use crate::domain::ids::{CreativeId, OfferId};
use crate::template::diagnostic::{Problem, did_you_mean};
use crate::template::macros::url::MacroUrl;
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;

/// One ad of an offer.
#[derive(Debug, Clone)]
pub struct Creative {
    pub id: CreativeId,
    pub offer: OfferId,
    /// For people; the id where none is given.
    pub name: String,
    /// Where its visitors go; to the offer's own page where it names none.
    pub landing: Option<MacroUrl>,
}

/// Every creative that was read whole, and the ids of all, also of those with a problem.
#[derive(Default)]
pub struct Creatives {
    pub whole: Vec<Creative>,
    pub ids: Vec<CreativeId>,
    /// Whose each is, as far as that was understood.
    owners: Vec<(CreativeId, OfferId)>,
}

pub const CREATIVE: IdKind<CreativeId> = IdKind {
    word: "creative",
    parse: CreativeId::parse,
    whose_id: "the id of a [[creative]]",
    example: "761",
    why_unique: "campaigns and links name it",
};

/// Reads every `[[creative]]`; one with a problem is left out, its problems kept. `offers` are the ids of
/// all offers, also of those left out.
pub fn read_all(root: &Table<'_>, offers: &[OfferId]) -> Creatives {
    let mut creatives = Creatives::default();
    for section in root.tables("creative") {
        let whole = read(section, offers, &mut creatives);
        creatives.whole.extend(whole);
    }
    creatives
}

fn read(section: Table<'_>, offers: &[OfferId], creatives: &mut Creatives) -> Option<Creative> {
    let id = CREATIVE.own(&section, &mut creatives.ids);
    let offer = section.required("offer", "\"565\"", |text| OFFER.one_of(text, offers));
    let name = section.text("name").map(|text| text.value);
    let has_page = section.has("url");
    let landing = section.parsed("url", landing);
    section.finish();
    let (id, offer) = (id?, offer?);
    creatives.owners.push((id.clone(), offer.clone()));
    let name = name.unwrap_or_else(|| id.to_string());
    (landing.is_some() || !has_page).then_some(Creative { id, offer, name, landing })
}

impl Creatives {
    /// The `creative` of a `[[campaign]]` of this offer: one id, or a list; and whether all of it is
    /// right. What cannot be meant is left out, its problem kept.
    pub fn listed(&self, section: &Table<'_>, offer: Option<&OfferId>) -> (Vec<CreativeId>, bool) {
        let read = section.texts("creative");
        let is_read = read.is_some() || !section.has("creative");
        let texts = read.unwrap_or_default();
        let is_alone = texts.len() == 1;
        let mut listed: Vec<CreativeId> = Vec::new();
        for text in &texts {
            let checked = CREATIVE.read(text).and_then(|id| {
                let known = self.check(text, &id, (offer, is_alone), &listed);
                known.map(|()| id)
            });
            match checked {
                Ok(id) => listed.push(id),
                Err(Problem { what, hint, .. }) => {
                    let what = format!("`creative` in [[campaign]]: {what}");
                    section.document().problem(text.line, Problem::new(what, hint));
                }
            }
        }
        let is_right = is_read && listed.len() == texts.len();
        (listed, is_right)
    }

    /// Whether a campaign of `offer` may list `id` after those that it lists already.
    fn check(
        &self,
        text: &Text,
        id: &CreativeId,
        (offer, is_alone): (Option<&OfferId>, bool),
        listed: &[CreativeId],
    ) -> Result<(), Problem> {
        if listed.contains(id) {
            return Err(Problem::new(format!("{} is listed twice", text.shown()), "list each creative once"));
        }
        if let Some((_, owner)) = self.owners.iter().find(|(known, _)| known == id) {
            return match offer {
                Some(offer) if owner != offer => {
                    let what = format!("{} is a creative of the offer `{owner}`", text.shown());
                    Err(Problem::new(what, format!("list creatives of this campaign's offer, `{offer}`")))
                }
                _ => Ok(()),
            };
        }
        let mine = || self.owners.iter().filter(|(_, owner)| Some(owner) == offer).map(|(id, _)| id);
        // One creative alone needs no table of its own: it leads to the offer's page. An id whose table
        // has a problem of its own is not unknown.
        if is_alone && mine().next().is_none() || offer.is_none() || self.ids.contains(id) {
            return Ok(());
        }
        let free = mine().filter(|known| !listed.contains(known)).map(CreativeId::as_str);
        let offer = offer.map(OfferId::as_str).unwrap_or_default();
        let add = format!("add a [[creative]] with id = \"{id}\" and offer = \"{offer}\"");
        let hint = match did_you_mean(id.as_str(), free) {
            Some(near) => format!("did you mean `{near}`? Else {add}"),
            None => add,
        };
        Err(Problem::new(format!("the offer `{offer}` has no creative {}", text.shown()), hint))
    }
}
