//! A pixel's conversion for which no click was found, and what its reporter can do.

use crate::domain::built_in;
use crate::domain::conversion::Conversion;
use crate::domain::remark::Remark;

/// The remark on a conversion that a pixel reported and that has no click. It follows from how the
/// conversion is now and is not kept with it: a repeat that names the click ends it.
pub fn no_click(conversion: &Conversion) -> Option<Remark> {
    let by_pixel = conversion.source.as_str() == built_in::PIXEL;
    let attribution = &conversion.attribution;
    (by_pixel && attribution.click().is_none())
        .then(|| Remark::NoClick { named: attribution.given().is_some() })
}
