//! The numbers by which advertisers know their conversions: their key is made when the first is given out, and kept in
//! the store.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::OnceCell;

use crate::clock;
use crate::domain::advertiser_number::AdvertiserNumbers;
use crate::store::contract::Store;
use crate::store::contract::error::StoreError;
use crate::store::contract::operator::ToKeep;

/// The name of the key among the store's texts.
const NAME: &str = "advertiser-numbers";

/// The numbers of one store. Outlives a reload.
#[derive(Clone)]
pub struct StoreNumbers {
    store: Arc<dyn Store>,
    known: Arc<OnceCell<AdvertiserNumbers>>,
}

impl StoreNumbers {
    /// The numbers of this store.
    pub fn of(store: Arc<dyn Store>) -> StoreNumbers {
        StoreNumbers { store, known: Arc::default() }
    }

    /// With numbers that are known already.
    pub fn known(store: Arc<dyn Store>, numbers: AdvertiserNumbers) -> StoreNumbers {
        StoreNumbers { store, known: Arc::new(OnceCell::new_with(Some(numbers))) }
    }

    /// The numbers; where none was ever given out, their key is made and durable first.
    ///
    /// # Errors
    /// The store's failure, a damaged key, or no entropy.
    pub async fn get(&self) -> Result<&AdvertiserNumbers, StoreError> {
        self.known
            .get_or_try_init(|| async {
                match self.kept().await? {
                    Some(numbers) => Ok(numbers),
                    None => self.make().await,
                }
            })
            .await
    }

    /// The numbers, where one may have been given out. Writes nothing.
    ///
    /// # Errors
    /// The store's failure, or a damaged key.
    pub async fn if_reported(&self) -> Result<Option<AdvertiserNumbers>, StoreError> {
        match self.known.get() {
            Some(numbers) => Ok(Some(numbers.clone())),
            None => self.kept().await,
        }
    }

    async fn kept(&self) -> Result<Option<AdvertiserNumbers>, StoreError> {
        let Some(kept) = self.store.kept_text(NAME.to_owned()).await? else { return Ok(None) };
        let key = STANDARD.decode(kept).ok().and_then(|key| <[u8; 32]>::try_from(key).ok());
        let damaged = || StoreError::Corrupt {
            key: NAME.to_owned(),
            cause: "it is not a key; with another one advertisers would know no conversion".to_owned(),
        };
        key.map(|key| Some(AdvertiserNumbers::new(key))).ok_or_else(damaged)
    }

    async fn make(&self) -> Result<AdvertiserNumbers, StoreError> {
        let key = clock::entropy::<32>().map_err(|error| StoreError::Broken {
            doing: "make the key of the advertisers' numbers",
            cause: error.to_string(),
        })?;
        self.store.keep(ToKeep::Text { name: NAME.to_owned(), text: STANDARD.encode(key) }).await?;
        Ok(AdvertiserNumbers::new(key))
    }
}
