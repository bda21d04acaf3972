//! What the macros of an outgoing postback mean: the words that affiliates' URLs are written with, and ours.

use rust_decimal::Decimal;

use crate::domain::address;
use crate::domain::click::{self, Click, CustomerTrait, find};
use crate::domain::conversion::Conversion;
use crate::domain::ids::ClickId;
use crate::domain::money::Money;
use crate::domain::offer::CampaignRef;

/// What a postback is inferred from.
pub struct MacroContext<'a> {
    /// The conversion that is reported.
    pub conversion: &'a Conversion,
    /// Its click; `None` where none is recorded.
    pub click: Option<&'a Click>,
    /// The payout as it is sent.
    pub payout: Option<Decimal>,
}

/// One macro: its name, what it says, and where that is found. Absent is empty.
pub struct MacroMeaning {
    /// As it is written in the URL, without the marks of the grammar.
    pub name: &'static str,
    /// What it is filled with, for people.
    pub doc: &'static str,
    value: for<'a> fn(&MacroContext<'a>) -> Option<String>,
}

macro_rules! macros {
    ($($name:literal $doc:literal $value:expr;)*) => {
        /// The names, in the order of [`MEANINGS`].
        pub const POSTBACK: &[&str] = &[$($name),*];
        /// Every macro of an outgoing postback.
        pub static MEANINGS: &[MacroMeaning] = &[$(MacroMeaning { name: $name, doc: $doc, value: $value }),*];
    };
}

macros! {
    "click_id" "The id of the click, as it was handed to the offer." click_id;
    "reqid" "The same: the id that the offer was sent the visitor with." click_id;
    "reqsessid" "The same." click_id;
    "conversion_id" "Our id of the conversion; the same in every retry and for every change." conversion_id;
    "leadid" "The same." conversion_id;
    "event_id" "The id that ad platforms count the event once by." event_id;
    "transaction_id" "The advertiser's own id of the sale." transaction_id;
    "tid" "The same." transaction_id;
    "order_id" "The order that the sale belongs to, as the advertiser reported it." order_id;
    "event" "The event's name: Purchase, Lead…" |context| Some(context.conversion.event.to_string());
    "status" "approved, pending or rejected." |context| Some(context.conversion.status.as_str().to_owned());
    "payout" "What the affiliate earns, times `scale`; empty where no payout is known." payout;
    "price" "The same." payout;
    "currency" "The currency of the payout, else of the sale: three capitals." currency;
    "revenue" "What the advertiser pays." |context| number(context.conversion.revenue);
    "amount" "The sale's amount, else what the event is worth." amount;
    "affiliate_id" "Whose click it was." affiliate;
    "affid" "The same." affiliate;
    "offer_id" "What was sold." offer;
    "oid" "The same." offer;
    "campaign_id" "The affiliate's run of the offer." campaign;
    "campid" "The same." campaign;
    "creative_id" "The creative that was clicked." creative;
    "cid" "The same: a creative, no click." creative;
    "s1" "The affiliate's first sub id, as the link carried it." |context| sub_id(context, 1, "s1");
    "s2" "The second." |context| sub_id(context, 2, "s2");
    "s3" "The third." |context| sub_id(context, 3, "s3");
    "s4" "The fourth." |context| sub_id(context, 4, "s4");
    "s5" "The fifth." |context| sub_id(context, 5, "s5");
    "sub1" "The first sub id." |context| sub_id(context, 1, "sub1");
    "sub2" "The second." |context| sub_id(context, 2, "sub2");
    "sub3" "The third." |context| sub_id(context, 3, "sub3");
    "sub4" "The fourth." |context| sub_id(context, 4, "sub4");
    "sub5" "The fifth." |context| sub_id(context, 5, "sub5");
    "aff_sub" "The first sub id." |context| sub_id(context, 1, "aff_sub");
    "aff_sub2" "The second." |context| sub_id(context, 2, "aff_sub2");
    "aff_sub3" "The third." |context| sub_id(context, 3, "aff_sub3");
    "aff_sub4" "The fourth." |context| sub_id(context, 4, "aff_sub4");
    "aff_sub5" "The fifth." |context| sub_id(context, 5, "aff_sub5");
    "ip" "The address that the conversion was made from, where it was reported." conversion_ip;
    "sourceip" "The address that the click was made from." click_ip;
    "udid" "The device's id, where link or conversion carried one as `udid`." device_id;
    "timestamp" "When the conversion happened: seconds since 1970, UTC." unix_time;
    "utcunixtime" "The same." unix_time;
    "click_timestamp" "When the click happened: seconds since 1970, UTC." click_time;
    "sourcetime" "When the conversion happened, UTC: 2026-03-04T05:06:07.8900000." source_time;
}

/// What is an amount of money.
pub(crate) const AMOUNTS: [&str; 5] = ["payout", "price", "revenue", "amount", "earned"];

/// What says something of the person: empty once the visitor has refused `ad_user_data`.
const PERSONAL: [&str; 3] = ["ip", "sourceip", "udid"];

impl MacroContext<'_> {
    /// The value of a macro; `None` where nothing is known, and for a name that is none.
    pub fn value(&self, name: &str) -> Option<String> {
        if PERSONAL.contains(&name) && self.conversion.consent_with(self.click).refuses_data() {
            return None;
        }
        let meaning = MEANINGS.iter().find(|meaning| meaning.name == name)?;
        (meaning.value)(self).filter(|value| !value.is_empty())
    }

    fn campaign_ref(&self) -> Option<&CampaignRef> {
        let clicked = || self.click.and_then(|click| click.context.campaign_ref.as_ref());
        self.conversion.campaign_ref.as_ref().or_else(clicked)
    }
}

fn click_id(context: &MacroContext<'_>) -> Option<String> {
    let attribution = &context.conversion.attribution;
    let id = attribution.click().map(ClickId::as_str).or(attribution.given())?;
    Some(id.to_owned())
}

fn conversion_id(context: &MacroContext<'_>) -> Option<String> {
    Some(context.conversion.id.to_string())
}

fn event_id(context: &MacroContext<'_>) -> Option<String> {
    Some(context.conversion.id.event_id().to_string())
}

fn transaction_id(context: &MacroContext<'_>) -> Option<String> {
    context.conversion.transaction_id.clone()
}

fn order_id(context: &MacroContext<'_>) -> Option<String> {
    context.conversion.order_id().map(str::to_owned)
}

fn payout(context: &MacroContext<'_>) -> Option<String> {
    context.payout.map(|payout| payout.to_string())
}

fn currency(context: &MacroContext<'_>) -> Option<String> {
    let conversion = context.conversion;
    let money = conversion.payout.or(conversion.sale_amount).or(conversion.value)?;
    Some(money.currency.to_string())
}

fn number(money: Option<Money>) -> Option<String> {
    money.map(|money| money.amount.to_string())
}

fn amount(context: &MacroContext<'_>) -> Option<String> {
    number(context.conversion.sale_amount.or(context.conversion.value))
}

fn affiliate(context: &MacroContext<'_>) -> Option<String> {
    context.campaign_ref()?.affiliate.as_ref().map(ToString::to_string)
}

fn offer(context: &MacroContext<'_>) -> Option<String> {
    Some(context.campaign_ref()?.offer.to_string())
}

fn campaign(context: &MacroContext<'_>) -> Option<String> {
    context.campaign_ref()?.campaign.as_ref().map(ToString::to_string)
}

fn creative(context: &MacroContext<'_>) -> Option<String> {
    context.campaign_ref()?.creative.as_ref().map(ToString::to_string)
}

/// The sub id of this name, else of this number under the other names that links use. What a
/// conversion says counts only where no click is known: there it may be the advertiser's own.
fn sub_id(context: &MacroContext<'_>, number: u8, name: &str) -> Option<String> {
    let pairs = context.click.map_or(&context.conversion.params, |click| &click.sub_ids);
    let named = find(pairs, name).filter(|value| !value.is_empty());
    named.or_else(|| click::sub_id(pairs, number)).map(str::to_owned)
}

fn conversion_ip(context: &MacroContext<'_>) -> Option<String> {
    context.conversion.traits.get(CustomerTrait::Ip).and_then(address::visitors).map(|ip| ip.to_string())
}

fn click_ip(context: &MacroContext<'_>) -> Option<String> {
    context.click?.ip.filter(|ip| address::is_visitors(*ip)).map(|ip| ip.to_canonical().to_string())
}

fn device_id(context: &MacroContext<'_>) -> Option<String> {
    let of_click = || context.click.and_then(|click| find(&click.params, "udid"));
    find(&context.conversion.params, "udid").or_else(of_click).map(str::to_owned)
}

fn unix_time(context: &MacroContext<'_>) -> Option<String> {
    Some(context.conversion.event_time.as_seconds().to_string())
}

fn click_time(context: &MacroContext<'_>) -> Option<String> {
    Some(context.click?.at.as_seconds().to_string())
}

/// Seven digits of a second and no zone, as the affiliates' own documents show it.
fn source_time(context: &MacroContext<'_>) -> Option<String> {
    let text = context.conversion.event_time.to_string();
    Some(format!("{}0000", text.strip_suffix('Z')?))
}
