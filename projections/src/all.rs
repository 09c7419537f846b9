//! Every read model that there is: the one list of them.

use store::read_model::Home;
use store::{ReadModel, StoreError};

use crate::{Embeddings, History, Projection, RateLimit, Search, TokenActivity, Usage};

macro_rules! read_models {
    ($($name:ident: $projection:ty),+ $(,)?) => {
        /// All read models of one log, live. Cheap to clone.
        #[derive(Debug, Clone)]
        pub struct ReadModels {
            $(pub $name: ReadModel),+
        }

        /// The schemas of Postgres in which names are looked up: the log's, then the read models'.
        pub const SEARCH_PATH: &str = concat!("public", $(",", stringify!($name)),+);

        impl ReadModels {
            pub const NAMES: &'static [&'static str] = &[$(<$projection>::SPEC.name),+];

            /// Opens the live ones; the first process to come makes them.
            pub async fn open(home: &Home) -> Result<Self, StoreError> {
                Ok(Self { $($name: ReadModel::open(home, <$projection>::SPEC).await?),+ })
            }

            /// In the order in which they are shown.
            #[must_use]
            pub const fn all(&self) -> [&ReadModel; Self::NAMES.len()] {
                [$(&self.$name),+]
            }
        }
    };
}

read_models! {
    embeddings: Embeddings,
    history: History,
    rate_limit: RateLimit,
    search: Search,
    token_activity: TokenActivity,
    usage: Usage,
}

impl ReadModels {
    /// Refuses tables that another build has made.
    pub async fn check_tables(&self) -> Result<(), StoreError> {
        for model in self.all() {
            model.check_tables().await?;
        }
        Ok(())
    }

    /// Drops what rebuilds that died have left.
    pub async fn clean(&self) -> Result<(), StoreError> {
        for model in self.all() {
            model.clean().await?;
        }
        Ok(())
    }

    pub async fn close(&self) {
        for model in self.all() {
            model.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_read_model_is_found_by_its_name() {
        assert_eq!(SEARCH_PATH, format!("public,{}", ReadModels::NAMES.join(",")));
    }
}
