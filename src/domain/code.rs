//! Closed lists of codes: what programs compare, and the one place where each becomes a sentence.

/// A code of a closed list, without what it is about. Metric labels, filters and `docs/reason-codes.md` read it.
pub trait ReasonCode: Copy + Eq + std::fmt::Debug + 'static {
    /// The family's word, as the API calls what has its codes: lower case with `_`. It is public and never changes
    /// its meaning.
    const FAMILY: &'static str;

    /// Every code, in the order of the documentation.
    const ALL: &'static [Self];

    /// As API, pages, metrics and logs write it: lower case with `_`.
    fn as_str(self) -> &'static str;

    /// What it means, as a sentence without its end.
    fn meaning(self) -> &'static str;

    /// What a person can do about it, as a sentence without its end.
    fn fix(self) -> &'static str;

    /// Every code as it is written.
    fn words() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|code| code.as_str())
    }

    /// The code that is written so.
    fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == word)
    }
}

/// A code with what it is about. The sentences are made here and nowhere else.
pub trait CodedReason {
    /// The closed list that the code is of.
    type Code: ReasonCode;

    /// The code alone: what programs compare.
    fn code(&self) -> Self::Code;

    /// The parameter, field, header or key that it is about.
    fn field(&self) -> Option<&str> {
        None
    }

    /// What was there, as it may be shown: absent where it is personal or secret.
    fn value(&self) -> Option<&str> {
        None
    }

    /// What happened, for a person: a sentence without its end.
    fn sentence(&self) -> String {
        self.code().meaning().to_owned()
    }

    /// How to fix it, for a person.
    fn hint(&self) -> String {
        self.code().fix().to_owned()
    }

    /// The code, what happened and how to fix it, in one line.
    fn line(&self) -> String {
        format!("{}: {}; {}", self.code().as_str(), self.sentence(), self.hint())
    }
}

/// Defines a closed list of codes, with its family's word: each code with its word, its meaning and its fix.
///
/// ```text
/// codes! {
///     /// Why a delivery is skipped.
///     SkipCode = "skipped" {
///         ConsentDenied = "consent_denied",
///             "the visitor refused consent", "nothing to do; after a later yes, retry";
///     }
/// }
/// ```
macro_rules! codes {
    ($(#[$attribute:meta])* $name:ident = $family:literal {
        $($variant:ident = $word:literal, $meaning:literal, $fix:expr;)+
    }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $(#[doc = $meaning] $variant,)+
        }

        impl $crate::domain::code::ReasonCode for $name {
            const FAMILY: &'static str = $family;

            const ALL: &'static [$name] = &[$($name::$variant),+];

            fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)+
                }
            }

            fn meaning(self) -> &'static str {
                match self {
                    $($name::$variant => $meaning,)+
                }
            }

            fn fix(self) -> &'static str {
                match self {
                    $($name::$variant => $fix,)+
                }
            }
        }
    };
}

pub(crate) use codes;
