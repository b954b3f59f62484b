//! The languages of the markets, and what each allows to be folded when keywords are compared. Identity folds none of it.
//!
//! Plurals are folded by the short tables below and not by a stemmer: the Snowball stemmers take derivations away too, so
//! that "organic" becomes "organ" and "Wanderung" "Wander". The tables rather leave two forms of a word apart than bring two
//! things together, above all where marks tell goods apart: Kuchen and Küchen, año and ano, ペン and ベン.

/// A language with the differences that are not counted.
#[derive(Debug)]
pub struct Language {
    /// Its name in English.
    pub name: &'static str,
    /// Markets in which it is searched in.
    pub markets: &'static [&'static str],
    /// What its letters are written as where the marks of Latin letters are dropped; a letter written as itself keeps them.
    pub(super) letters: &'static [(char, &'static str)],
    /// Words that shrink before an apostrophe and then say nothing, as `l` in "l'huile".
    pub(super) elisions: &'static [&'static str],
    /// Words whose plural follows no rule, and the singular.
    pub(super) irregular: &'static [(&'static str, &'static str)],
    /// Endings of plurals and what is left of them: the first that fits counts.
    pub(super) endings: &'static [Ending],
    /// True when words stand apart. Else a word is looked for anywhere in a title.
    pub(super) is_spaced: bool,
}

/// An ending that words lose: the ending, what takes its place, and how many letters there must be before it.
pub(super) type Ending = (&'static str, &'static str, usize);

impl Language {
    /// Returns the language of a market; for an unknown one that which folds only accents.
    pub fn of(market: &str) -> &'static Language {
        LANGUAGES.iter().find(|language| language.markets.contains(&market)).unwrap_or(&SEVERAL)
    }
}

/// What a language without entries of its own folds: marks on Latin letters.
const PLAIN: Language =
    Language { name: "", markets: &[], letters: &[], elisions: &[], irregular: &[], endings: &[], is_spaced: true };

/// Where several languages are searched in, no ending belongs to one of them for certain.
static SEVERAL: Language = Language { name: "several", markets: &["BE"], ..PLAIN };

/// Every language but [`SEVERAL`]. Tables are written in the letters that are left, so German "buecher", French "cle".
pub(super) static LANGUAGES: [Language; 10] = [
    Language {
        name: "English",
        markets: &["US", "GB", "CA", "AU", "IE"],
        irregular: &[
            ("children", "child"),
            ("feet", "foot"),
            ("geese", "goose"),
            ("knives", "knife"),
            ("leaves", "leaf"),
            ("men", "man"),
            ("mens", "man"),
            ("mice", "mouse"),
            ("scarves", "scarf"),
            ("shelves", "shelf"),
            ("teeth", "tooth"),
            ("wives", "wife"),
            ("women", "woman"),
            ("womens", "woman"),
        ],
        // Hoodies, hoodie and hoody are one, so the singular loses its ending too.
        endings: &[
            ("ss", "ss", 0),
            ("us", "us", 0),
            ("is", "is", 0),
            ("ies", "y", 3),
            ("ie", "y", 3),
            ("sses", "ss", 1),
            ("shes", "sh", 2),
            ("ches", "ch", 2),
            ("xes", "x", 2),
            ("s", "", 3),
        ],
        ..PLAIN
    },
    Language {
        name: "German",
        markets: &["DE", "AT", "CH"],
        // As Germans themselves write them without a German keyboard.
        letters: &[('ä', "ae"), ('ö', "oe"), ('ü', "ue")],
        // The plural in -er is not among the endings: it makes the one who does from what is done (Koch, Kocher).
        irregular: &[
            ("baelle", "ball"),
            ("baender", "band"),
            ("baeume", "baum"),
            ("bilder", "bild"),
            ("bretter", "brett"),
            ("buecher", "buch"),
            ("glaeser", "glas"),
            ("haeuser", "haus"),
            ("huete", "hut"),
            ("kinder", "kind"),
            ("kleider", "kleid"),
            ("lichter", "licht"),
            ("maenner", "mann"),
            ("raeder", "rad"),
            ("schraenke", "schrank"),
            ("stuehle", "stuhl"),
            ("tuecher", "tuch"),
        ],
        endings: &[
            ("ss", "ss", 0),
            ("us", "us", 0),
            ("is", "is", 0),
            ("en", "", 3),
            ("e", "", 3),
            ("n", "", 4),
            ("s", "", 3),
        ],
        ..PLAIN
    },
    Language {
        name: "French",
        markets: &["FR"],
        elisions: &["c", "d", "j", "l", "m", "n", "qu", "s", "t"],
        irregular: &[("yeux", "oeil"), ("tuyaux", "tuyau"), ("noyaux", "noyau")],
        endings: &[("eaux", "eau", 1), ("aux", "al", 2), ("x", "", 3), ("ss", "ss", 0), ("s", "", 3)],
        ..PLAIN
    },
    Language {
        name: "Spanish",
        markets: &["ES", "MX"],
        letters: &[('ñ', "ñ")],
        // Luces is the plural of luz, dulces of dulce; flores of flor, coches of coche: the singulars lose the same.
        endings: &[("ces", "z", 2), ("ce", "z", 2), ("es", "", 3), ("e", "", 3), ("s", "", 3)],
        ..PLAIN
    },
    Language {
        name: "Italian",
        markets: &["IT"],
        elisions: &["all", "d", "dall", "dell", "l", "nell", "quest", "sull", "un"],
        // Borse becomes borsa and zaini zaino; words in -e of both numbers (chiave, chiavi) stay apart, as do casa and caso.
        endings: &[
            ("che", "ca", 2),
            ("ghe", "ga", 2),
            ("chi", "co", 2),
            ("ghi", "go", 2),
            ("e", "a", 3),
            ("i", "o", 3),
        ],
        ..PLAIN
    },
    Language {
        name: "Portuguese",
        markets: &["BR"],
        endings: &[
            ("oes", "ao", 2),
            ("aes", "ao", 1),
            ("ais", "al", 2),
            ("eis", "el", 2),
            ("ns", "m", 2),
            ("res", "r", 2),
            ("re", "r", 3),
            ("zes", "z", 2),
            ("s", "", 3),
        ],
        ..PLAIN
    },
    Language {
        name: "Dutch",
        markets: &["NL"],
        endings: &[
            ("kken", "k", 2),
            ("llen", "l", 2),
            ("nnen", "n", 2),
            ("ppen", "p", 2),
            ("ssen", "s", 2),
            ("tten", "t", 2),
            ("en", "", 3),
            ("ss", "ss", 0),
            ("us", "us", 0),
            ("s", "", 3),
        ],
        ..PLAIN
    },
    // Endings of Swedish plurals end singulars too (dator, doktor), and those of Polish follow case and gender.
    Language { name: "Swedish", markets: &["SE"], letters: &[('å', "å"), ('ä', "ä"), ('ö', "ö")], ..PLAIN },
    Language { name: "Polish", markets: &["PL"], ..PLAIN },
    // Katakana becomes hiragana; voicing marks stay, they make other letters.
    Language { name: "Japanese", markets: &["JP"], is_spaced: false, ..PLAIN },
];
