//! The items of the pretend Amazon catalog, as `searchCatalogItems` shows them.

use serde::Serialize;

use crate::clock::timestamp_of;
use crate::exchange::Incoming;
use crate::listings::{Listing, Shelf};
use crate::noise::{Dice, hash};
use crate::words;

/// A department with its browse classification: id, name, leaf id, leaf name, display group.
type Department = (&'static str, &'static str, &'static str, &'static str, &'static str);

const DEPARTMENTS: [Department; 8] = [
    ("1055398", "Home & Kitchen", "284507", "Kitchen & Dining", "kitchen_display_on_website"),
    ("3375251", "Sports & Outdoors", "3394801", "Sports", "sports_display_on_website"),
    ("172282", "Electronics", "281407", "Accessories & Supplies", "ce_display_on_website"),
    ("7141123011", "Clothing, Shoes & Jewelry", "7147440011", "Women", "fashion_display_on_website"),
    ("165793011", "Toys & Games", "165993011", "Dress Up & Pretend Play", "toy_display_on_website"),
    ("3760901", "Health & Household", "3760941", "Health Care", "drugstore_display_on_website"),
    ("2972638011", "Patio, Lawn & Garden", "2972638012", "Gardening", "lawn_and_garden_display_on_website"),
    ("2619533011", "Pet Supplies", "2975312011", "Dogs", "pet_products_display_on_website"),
];

/// The data sets a caller asks for.
pub(crate) struct IncludedData<'a>(Vec<&'a str>);

impl<'a> IncludedData<'a> {
    const KNOWN: [&'static str; 10] = [
        "attributes",
        "classifications",
        "dimensions",
        "identifiers",
        "images",
        "productTypes",
        "relationships",
        "salesRanks",
        "summaries",
        "vendorDetails",
    ];

    /// Reads the comma list; without one, summaries are given.
    pub(crate) fn read(text: Option<&'a str>) -> Result<Self, String> {
        let names: Vec<&str> = text.unwrap_or("summaries").split(',').map(str::trim).collect();
        match names.iter().find(|name| !Self::KNOWN.contains(name)) {
            Some(name) => Err(format!("Invalid value '{name}' in parameter 'includedData'.")),
            None => Ok(Self(names)),
        }
    }

    fn when<T>(&self, name: &str, make: impl FnOnce() -> T) -> Option<T> {
        self.0.contains(&name).then(make)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Item<'a> {
    asin: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    classifications: Option<[Classifications<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<[Dimensions<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identifiers: Option<[Identifiers<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<[Images<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    product_types: Option<[ProductType<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relationships: Option<[Relationships<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sales_ranks: Option<[SalesRanks<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summaries: Option<[Summary<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor_details: Option<[Empty; 0]>,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Classification {
    display_name: &'static str,
    classification_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<Box<Classification>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Classifications<'a> {
    marketplace_id: &'a str,
    classifications: [Classification; 1],
}

#[derive(Serialize)]
struct Measure {
    unit: &'static str,
    value: f64,
}

#[derive(Serialize)]
struct Size {
    height: Measure,
    length: Measure,
    weight: Measure,
    width: Measure,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dimensions<'a> {
    marketplace_id: &'a str,
    item: Size,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identifier {
    identifier_type: &'static str,
    identifier: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identifiers<'a> {
    marketplace_id: &'a str,
    identifiers: [Identifier; 1],
}

#[derive(Serialize)]
struct Image {
    variant: &'static str,
    link: String,
    height: u32,
    width: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Images<'a> {
    marketplace_id: &'a str,
    images: [Image; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProductType<'a> {
    marketplace_id: &'a str,
    product_type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationships<'a> {
    marketplace_id: &'a str,
    relationships: [Empty; 0],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClassificationRank {
    classification_id: &'static str,
    title: &'static str,
    link: String,
    rank: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DisplayGroupRank {
    website_display_group: &'static str,
    title: &'static str,
    link: &'static str,
    rank: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SalesRanks<'a> {
    marketplace_id: &'a str,
    classification_ranks: Vec<ClassificationRank>,
    display_group_ranks: Vec<DisplayGroupRank>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    marketplace_id: &'a str,
    adult_product: bool,
    autographed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    brand: Option<String>,
    browse_classification: Classification,
    color: &'static str,
    item_classification: &'static str,
    item_name: String,
    manufacturer: String,
    memorabilia: bool,
    package_quantity: u32,
    release_date: String,
    trade_in_eligible: bool,
    website_display_group: &'static str,
    website_display_group_name: &'static str,
}

/// Shows one listing as a catalog item.
pub(crate) fn item<'a>(
    shelf: &Shelf,
    listing: &Listing,
    day: f64,
    marketplace_id: &'a str,
    data: &IncludedData<'_>,
) -> Item<'a> {
    let department = department_of(shelf, listing);
    Item {
        asin: asin(shelf, listing),
        attributes: data.when("attributes", || Empty {}),
        classifications: data.when("classifications", || {
            [Classifications { marketplace_id, classifications: [classification(department, true)] }]
        }),
        dimensions: data.when("dimensions", || [Dimensions { marketplace_id, item: size(listing) }]),
        identifiers: data.when("identifiers", || [Identifiers { marketplace_id, identifiers: [ean(listing)] }]),
        images: data.when("images", || [Images { marketplace_id, images: [image(listing)] }]),
        product_types: data.when("productTypes", || [ProductType { marketplace_id, product_type: "HOME" }]),
        relationships: data.when("relationships", || [Relationships { marketplace_id, relationships: [] }]),
        sales_ranks: data.when("salesRanks", || [sales_ranks(shelf, listing, day, marketplace_id, department)]),
        summaries: data.when("summaries", || [summary(shelf, listing, marketplace_id, department)]),
        vendor_details: data.when("vendorDetails", || []),
    }
}

const ASIN_DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const ASIN_DIGITS_AFTER_B0: u32 = 8;

/// The ASIN of a listing.
pub(crate) fn asin(shelf: &Shelf, listing: &Listing) -> String {
    let mut rest = asin_number(shelf, listing);
    let mut asin = String::from("B0");
    for _ in 0..ASIN_DIGITS_AFTER_B0 {
        asin.push(char::from(ASIN_DIGITS[(rest % 36) as usize]));
        rest /= 36;
    }
    asin
}

/// The number an ASIN stands for.
pub(crate) fn asin_number(shelf: &Shelf, listing: &Listing) -> u64 {
    hash(hash(shelf.salt, listing.salt), u64::from(listing.number)) % 36u64.pow(ASIN_DIGITS_AFTER_B0)
}

/// Reads the number an ASIN stands for.
pub(crate) fn read_asin(asin: &str) -> Option<u64> {
    let digits = asin.strip_prefix("B0").filter(|digits| digits.len() == ASIN_DIGITS_AFTER_B0 as usize)?;
    digits.bytes().rev().try_fold(0, |number, digit| {
        let value = ASIN_DIGITS.iter().position(|known| *known == digit)?;
        Some(number * 36 + value as u64)
    })
}

/// The title of a listing.
pub(crate) fn item_name(shelf: &Shelf, listing: &Listing) -> String {
    words::title(listing.salt, &format!("{} ", words::brand(listing.brand)), &shelf.heading)
}

/// Whether a listing passes the brand and classification filters of a request.
pub(crate) fn is_wanted(listing: &Listing, shelf: &Shelf, incoming: &Incoming) -> bool {
    let brand_fits = incoming.parameter("brandNames").is_none_or(|names| {
        let brand = words::brand(listing.brand);
        names.split(',').any(|name| name.trim().eq_ignore_ascii_case(&brand))
    });
    let classification_fits = incoming.parameter("classificationIds").is_none_or(|ids| {
        let (root, _, leaf, _, _) = department_of(shelf, listing);
        ids.split(',').any(|id| id.trim() == *root || id.trim() == *leaf)
    });
    brand_fits && classification_fits
}

#[derive(Serialize)]
pub(crate) struct Refinements {
    brands: Vec<BrandRefinement>,
    classifications: Vec<ClassificationRefinement>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BrandRefinement {
    number_of_results: u64,
    brand_name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClassificationRefinement {
    number_of_results: u64,
    display_name: &'static str,
    classification_id: &'static str,
}

/// Counts brands and classifications, blown up from the known listings to the whole result.
pub(crate) fn refinements(found: &[(&Shelf, &Listing)], total: u64) -> Refinements {
    const BRANDS_MAX: usize = 20;
    let mut brands: Vec<(u64, u64)> = Vec::new();
    let mut departments: Vec<(&Department, u64)> = Vec::new();
    for (shelf, listing) in found {
        count(&mut brands, listing.brand);
        count(&mut departments, department_of(shelf, listing));
    }
    brands.sort_by_key(|(brand, times)| (std::cmp::Reverse(*times), *brand));
    departments.sort_by_key(|(department, times)| (std::cmp::Reverse(*times), department.0));
    let scaled = |times: u64| (times * total).div_ceil(found.len().max(1) as u64);
    Refinements {
        brands: brands
            .iter()
            .take(BRANDS_MAX)
            .map(|(brand, times)| BrandRefinement {
                number_of_results: scaled(*times),
                brand_name: words::brand(*brand),
            })
            .collect(),
        classifications: departments
            .iter()
            .map(|((id, name, ..), times)| ClassificationRefinement {
                number_of_results: scaled(*times),
                display_name: name,
                classification_id: id,
            })
            .collect(),
    }
}

fn count<K: PartialEq>(counts: &mut Vec<(K, u64)>, key: K) {
    match counts.iter_mut().find(|(known, _)| *known == key) {
        Some((_, times)) => *times += 1,
        None => counts.push((key, 1)),
    }
}

/// Most listings of a shelf stand in its first department.
fn department_of(shelf: &Shelf, listing: &Listing) -> &'static Department {
    let first = shelf.salt as usize % DEPARTMENTS.len();
    let step = match listing.trait_unit(1) {
        x if x < 0.7 => 0,
        x if x < 0.92 => 1,
        _ => 2,
    };
    &DEPARTMENTS[(first + step) % DEPARTMENTS.len()]
}

fn classification(department: &Department, with_parent: bool) -> Classification {
    let (root_id, root_name, leaf_id, leaf_name, _) = *department;
    let parent = Classification { display_name: root_name, classification_id: root_id, parent: None };
    Classification {
        display_name: leaf_name,
        classification_id: leaf_id,
        parent: with_parent.then(|| Box::new(parent)),
    }
}

fn size(listing: &Listing) -> Size {
    let mut dice = Dice::new(hash(listing.salt, 21));
    let mut measure = |unit, high| Measure { unit, value: (dice.between(0.3, high) * 100.0).round() / 100.0 };
    Size {
        height: measure("inches", 20.0),
        length: measure("inches", 30.0),
        weight: measure("pounds", 12.0),
        width: measure("inches", 20.0),
    }
}

fn ean(listing: &Listing) -> Identifier {
    Identifier { identifier_type: "EAN", identifier: format!("{:013}", listing.salt % 10_000_000_000_000) }
}

fn image(listing: &Listing) -> Image {
    let link = format!("https://m.media-amazon.com/images/I/{:011x}.jpg", listing.salt & 0xFFF_FFFF_FFFF);
    Image { variant: "MAIN", link, height: 500, width: 500 }
}

/// Sales ranks follow the sales of the week; some items have none.
fn sales_ranks<'a>(
    shelf: &Shelf,
    listing: &Listing,
    day: f64,
    marketplace_id: &'a str,
    department: &Department,
) -> SalesRanks<'a> {
    let (_, name, leaf_id, leaf_name, group) = *department;
    let mut ranks = SalesRanks { marketplace_id, classification_ranks: Vec::new(), display_group_ranks: Vec::new() };
    if listing.trait_unit(2) < 0.05 {
        return ranks;
    }
    let weekly_sales = 0.08 * listing.share * shelf.demand_between(day - 7.0, day);
    let rank = (900_000.0 / (0.3 + weekly_sales).powf(1.1)).clamp(1.0, 3_000_000.0);
    ranks.classification_ranks.push(ClassificationRank {
        classification_id: leaf_id,
        title: leaf_name,
        link: format!("https://www.amazon.com/gp/bestsellers/{leaf_id}"),
        rank: (rank / 30.0) as u64 + 1,
    });
    ranks.display_group_ranks.push(DisplayGroupRank {
        website_display_group: group,
        title: name,
        link: "https://www.amazon.com/gp/bestsellers",
        rank: rank as u64,
    });
    ranks
}

fn summary<'a>(shelf: &Shelf, listing: &Listing, marketplace_id: &'a str, department: &Department) -> Summary<'a> {
    let brand = words::brand(listing.brand);
    let released = chrono::DateTime::from_timestamp(timestamp_of(listing.born), 0).unwrap_or_default();
    Summary {
        marketplace_id,
        adult_product: false,
        autographed: false,
        brand: (listing.trait_unit(3) > 0.04).then(|| brand.clone()),
        browse_classification: classification(department, false),
        color: words::color(listing.salt),
        item_classification: "BASE_PRODUCT",
        item_name: item_name(shelf, listing),
        manufacturer: brand,
        memorabilia: false,
        package_quantity: 1,
        release_date: released.date_naive().to_string(),
        trade_in_eligible: false,
        website_display_group: department.4,
        website_display_group_name: department.1,
    }
}
