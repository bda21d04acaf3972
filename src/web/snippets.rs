//! What an advertiser pastes to report an offer's conversions: the postback URL and the pixels. The pages
//! show them, and the API answers them.

use crate::domain::offer::Offer;
use crate::domain::reporter::ReportRoute;

/// The addresses and tags of one offer, of the routes that it opens alone. What the advertiser must fill in is
/// written in capitals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferSnippets {
    pub postback: Option<String>,
    pub pixels: Option<PixelSnippets>,
    /// The postback in the older shape, without a key.
    pub classic_postback: Option<String>,
}

/// What is pasted into the page after the sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PixelSnippets {
    pub image: String,
    pub script: String,
    /// The image in the older shape.
    pub classic_image: String,
}

impl OfferSnippets {
    /// Of an offer that is served at `base`, which has no slash at its end.
    pub fn of(base: &str, offer: &Offer) -> OfferSnippets {
        let id = offer.id.as_str();
        let mut pixel = format!("offer={id}&transaction_id=ORDER_ID");
        let mut classic = format!("o={id}&t=ORDER_ID");
        if offer.accept_pixel_value {
            pixel.push_str("&value=SALE_AMOUNT");
            classic.push_str("&p=SALE_AMOUNT");
        }
        let image = |path: &str, query: &str| {
            format!("<img src=\"{base}{path}?{query}\" width=\"1\" height=\"1\" alt=\"\">")
        };
        let opens = |route| offer.reports.opens(route);
        let postback =
            || format!("{base}/api/2/conversion.json?api_key=API_KEY&offer_id={id}&click_id=REPLACE");
        let pixels = || PixelSnippets {
            image: image("/pixel.gif", &pixel),
            script: format!("<script src=\"{base}/pixel.js?{pixel}\" async></script>"),
            classic_image: image("/p.ashx", &format!("{classic}&f=img")),
        };
        OfferSnippets {
            postback: opens(ReportRoute::Api).then(postback),
            pixels: opens(ReportRoute::Pixel).then(pixels),
            classic_postback: opens(ReportRoute::Server)
                .then(|| format!("{base}/p.ashx?{classic}&r=REPLACE&f=pb")),
        }
    }
}
