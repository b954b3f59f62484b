//! Files as they are exported, made by hand, and the variants in which they come.

use digitallz_common::marketplace::Marketplace;
use digitallz_common::observation::Observed;

use super::*;
use crate::reading::TrackedKeyword;

/// A file of which the market is the United States and `desk lamp`, `table lamp` and `floor lamp` are tracked.
pub(super) struct TestFile {
    pub(super) marketplace: Marketplace,
    pub(super) market: &'static str,
    pub(super) kind: Option<Kind>,
    pub(super) request: ImportRequest,
}

impl Default for TestFile {
    fn default() -> TestFile {
        let request = ImportRequest::new("file.csv", [0; 32]);
        TestFile { marketplace: Marketplace::Amazon, market: "US", kind: None, request }
    }
}

impl TestFile {
    pub(super) fn read(&self, body: &[u8]) -> Result<Imported, Problem> {
        let site = Site::new(self.marketplace, self.market).unwrap();
        let keywords = ["desk lamp", "table lamp", "floor lamp"].into_iter().zip(1..);
        let tracked = keywords
            .map(|(text, keyword_id)| (text.to_owned(), TrackedKeyword { keyword_id, is_active: true }))
            .collect();
        let imported_at = "2026-11-20T12:00:00Z".parse().unwrap();
        let surroundings = Surroundings { site: &site, tracked: &tracked, imported_at };
        super::read(body, self.kind, &self.request, surroundings)
    }
}

/// Reads a file about which nothing is said.
pub(super) fn read(body: impl AsRef<[u8]>) -> Result<Imported, Problem> {
    TestFile::default().read(body.as_ref())
}

/// Writes what a file says, a value a line.
pub(super) fn said(imported: &Imported) -> Vec<String> {
    let one = |one: &crate::reading::KeywordObservation| {
        let value = match &one.observed {
            Observed::Value(value) => format!("{value}"),
            Observed::Estimated(value, _) => format!("about {value}"),
            without => format!("{}: {}", without.status(), without.reason().unwrap_or_default()),
        };
        let (metric, period) = (one.metric.name(), one.period);
        format!("{} {metric} {} {} {value} {}", one.keyword_id, period.kind(), period.start_date(), one.unit)
    };
    imported.reading.observations.iter().map(one).collect()
}

/// Returns the reasons of rows that were set aside, with their places.
pub(super) fn aside(imported: &Imported) -> Vec<String> {
    imported.reading.quarantined.iter().map(|row| format!("{}: {}", row.json_pointer, row.reason)).collect()
}

fn utf_16(text: &str) -> Vec<u8> {
    [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
}

const SEARCH_TERMS: &str = r#"Reporting Range=["Weekly"],Select week=["Week 6 | 2026-02-01 - 2026-02-07 2026"]
"Search Frequency Rank","Search Term","Top Clicked Brand #1","Top Clicked Product #1: ASIN","Top Clicked Product #1: Product Title","Top Clicked Product #1: Click Share","Top Clicked Product #1: Conversion Share","Top Clicked Product #2: ASIN","Top Clicked Product #2: Click Share","Top Clicked Product #2: Conversion Share","Top Clicked Product #3: Click Share","Top Clicked Product #3: Conversion Share","Reporting Date"
"1,204","Desk Lamp","Acme","B000000001","Lamp, bright","10.5","4.25","B000000002","8.0","2.0","1.5","0.75","2026-02-07"
"88","air fryer","Acme","B000000003","Fryer","20.5","14.25","B000000004","8.0","2.0","1.5","0.75","2026-02-07"
"#;

#[test]
fn search_terms_are_read_as_seller_central_exports_them() {
    let imported = read(SEARCH_TERMS).unwrap();
    assert_eq!(imported.kind, Kind::SearchTerms);
    assert_eq!(
        said(&imported),
        [
            "1 search_frequency_rank week 2026-02-01 1204 rank",
            "1 top_click_share week 2026-02-01 0.2 share",
            "1 top_conversion_share week 2026-02-01 0.07 share",
        ]
    );
    assert_eq!((imported.reading.row_count, imported.reading.untracked_row_count), (2, 1));
    assert_eq!(imported.keywords.untracked.keys().collect::<Vec<_>>(), ["air fryer"]);
    let header = &imported.headers[0];
    assert_eq!((header.header_line, header.form.as_str()), (2, "UTF-8, comma"));
    assert!(header.unknown.is_empty() && header.not_kept.len() == 4, "{header:?}");
    assert_eq!(header.missing, ["department"]);
}

#[test]
fn old_search_terms_have_departments_percent_signs_and_slashed_dates() {
    let text = "\u{feff}\"Department=[\"\"Amazon.com\"\"]\",\"Reporting Range=[\"\"Weekly\"\"]\",\"Viewing=[\"\"2/16/20 - 2/22/20\"\"]\"\n\
        Department,Search Term,Search Frequency Rank,#1 Clicked ASIN,#1 Product Title,#1 Click Share,#1 Conversion Share,#2 Click Share,#2 Conversion Share,#3 Click Share,#3 Conversion Share\n\
        Home,desk lamp,3,B1,Lamp,50.00%,40.00%,1.00%,1.00%,1.00%,1.00%\n\
        Amazon.com,desk lamp,512,B1,Lamp,30.25%,20.00%,5.00%,2.00%,1.00%,0.50%\n";
    let imported = read(text).unwrap();
    assert_eq!(
        said(&imported),
        [
            "1 search_frequency_rank week 2020-02-16 512 rank",
            "1 top_click_share week 2020-02-16 0.3625 share",
            "1 top_conversion_share week 2020-02-16 0.225 share",
        ]
    );
}

#[test]
fn shares_that_may_be_percent_or_not_are_not_guessed() {
    let head = "Reporting Range=[\"Weekly\"]\nSearch Term,Search Frequency Rank,#1 Click Share,#1 Conversion Share,Reporting Date\n";
    let unsure = read(format!("{head}desk lamp,5,0.5,0.25,2026-02-07\n")).unwrap();
    assert!(said(&unsure)[1].contains("unavailable: the shares of the file may be percent"), "{:?}", said(&unsure));
    let mut many = format!("{head}desk lamp,5,0.5,0.25,2026-02-07\n");
    (0..100).for_each(|index| many.push_str(&format!("lamp {index},{},0.4,0.1,2026-02-07\n", index + 10)));
    assert_eq!(said(&read(many).unwrap())[1], "1 top_click_share week 2026-02-01 0.5 share");
}

#[test]
fn every_line_end_gives_every_row_and_the_line_of_an_editor() {
    let lines = [
        "keyword,date,metric,value,period",
        "desk lamp,2026-02-01,search_query_volume,1200,week",
        "",
        "desk lamp,2026-02-08,search_query_volume,many,week",
        "table lamp,2026-02-08,search_query_volume,1300,week",
    ];
    for end in ["\n", "\r\n", "\r"] {
        for (above, mark, last) in [("", "", end), (end, "\u{feff}", "")] {
            let text = format!("{mark}{above}{}{last}", lines.join(end));
            let imported = read(&text).unwrap();
            assert_eq!(said(&imported).len(), 2, "{text:?}");
            assert_eq!(imported.reading.row_count, 3);
            let line = if above.is_empty() { 4 } else { 5 };
            assert!(aside(&imported)[0].starts_with(&format!("/line/{line}: ")), "{:?}", aside(&imported));
        }
    }
}

#[test]
fn dates_and_numbers_that_a_spreadsheet_wrote_again_are_read_by_what_the_file_allows() {
    let above = "\"Brand=[\"\"B\"\"]\",\"Reporting Range=[\"\"Weekly\"\"]\",\"Select week=[\"\"Week 11 | 2026-03-08 - 2026-03-14 2026\"\"]\",,";
    for (date, row) in [("3/14/2026", "\"1,200\""), ("14/3/2026", "1200"), ("14.03.2026", "1 200")] {
        let text = format!("{above}\r\nSearch Query,Search Query Volume,Reporting Date\r\ndesk lamp,{row},{date}\r\n");
        assert_eq!(said(&read(&text).unwrap()), ["1 search_query_volume week 2026-03-08 1200 searches"], "{date}");
    }
    let ambiguous = "\"Reporting Range=[\"\"Monthly\"\"]\"\nSearch Query,Search Query Volume,Reporting Date\ndesk lamp,5,1/31/2026\n";
    assert_eq!(said(&read(ambiguous).unwrap()), ["1 search_query_volume month 2026-01-01 5 searches"]);
    let german = "keyword;date;metric;value;unit\ndesk lamp;03.02.2026;click_price_median;1.019,99;EUR\ntable lamp;03.02.2026;click_price_median;1.019;EUR\n";
    let read_german = read(german).unwrap();
    assert_eq!(said(&read_german)[1], "2 click_price_median day 2026-02-03 1019 EUR");
    let open = read("keyword;date;metric;value;unit\ndesk lamp;03.02.2026;click_price_median;1.019;EUR\n").unwrap_err();
    assert!(open.text.contains("--decimal"), "{open}");
}

#[test]
fn the_export_of_2026_has_its_spacing_read_from_its_rows() {
    let weeks = "\"Time\",\"desk lamp\"\n\"2026-02-01\",8\n\"2026-02-08\",12\n";
    assert_eq!(said(&read(weeks).unwrap())[1], "1 search_interest week 2026-02-08 12 index");
    let months = "\"Time\",\"desk lamp\"\n\"2026-01-01\",8\n\"2026-02-01\",12\n\"2026-03-01\",100\n";
    assert_eq!(said(&read(months).unwrap())[2], "1 search_interest month 2026-03-01 100 index");
    let days = "\"Time\",\"desk lamp\"\n\"2026-01-01\",8\n\"2026-01-02\",12\n";
    assert_eq!(said(&read(days).unwrap())[0], "1 search_interest day 2026-01-01 8 index");
    assert!(read("\"Time\",\"desk lamp\"\n\"2026-02-01\",8\n").is_err());
    assert!(read("\"Time\",\"desk lamp\"\n\"2026-02-01T10\",8\n\"2026-02-01T11\",9\n").is_err());
}

#[test]
fn least_and_most_searches_keep_the_range_where_the_average_is_not_given() {
    let text = "Keyword Stats 2026-06-09 at 21_25_18\n\"May 1, 2025 - April 30, 2026\"\nKeyword\tCurrency\tAvg. monthly searches\tMin search volume\tMax search volume\ndesk lamp\tUSD\tN/A\t1,000\t10,000\ntable lamp\tUSD\t500\tN/A\tN/A\n";
    let values = said(&read(utf_16(text)).unwrap());
    assert!(values.iter().any(|one| one.contains("monthly_searches_low span 2025-05-01 about 1000")), "{values:#?}");
    assert!(values.iter().any(|one| one.contains("monthly_searches_high span 2025-05-01 about 10000")), "{values:#?}");
    assert!(values.iter().any(|one| one.starts_with("2 monthly_searches")), "{values:#?}");
}

#[test]
fn too_few_searches_are_below_the_threshold_in_every_spelling() {
    for cell in ["<1", "< 1", "<\u{a0}1", "＜１", "<\u{202f}1"] {
        let imported = read(format!("Week,desk lamp: (United States)\n2026-02-01,{cell}\n")).unwrap();
        assert!(said(&imported)[0].contains("below_threshold"), "{cell}: {:?}", said(&imported));
    }
}

#[test]
fn a_contradiction_between_line_and_rows_sets_the_rows_aside() {
    let text = SEARCH_TERMS.replace("0.75\",\"2026-02-07\"\n\"88\"", "0.75\",\"2026-02-14\"\n\"88\"");
    let imported = read(text).unwrap();
    assert!(aside(&imported)[0].starts_with("/line/3: the row ends on 2026-02-14"), "{:?}", aside(&imported));
}

#[test]
fn search_queries_are_read_in_the_view_of_brand_and_listing() {
    for (view, word) in [("Brand=[\"Acme\"]", "Brand"), ("ASIN or Product=[\"B000000001\"]", "ASIN")] {
        let text = format!(
            "{view},Reporting Range=[\"Weekly\"],Select week=[\"Week 6 | 2026-02-01 - 2026-02-07 2026\"]\n\
             \"Search Query\",\"Search Query Score\",\"Search Query Volume\",\"Impressions: Total Count\",\"Impressions: {word} Count\",\"Impressions: {word} Share %\",\"Clicks: Total Count\",\"Clicks: Click Rate %\",\"Clicks: Price (Median)\",\"Clicks: {word} Price (Median)\",\"Cart Adds: Total Count\",\"Purchases: Total Count\",\"Reporting Date\"\n\
             \"table lamp\",\"1\",\"12,345\",\"99,000\",\"80\",\"0.08\",\"456\",\"3.69\",\"$24.99\",\"19.99\",\"77\",\"31\",\"2026-02-07\"\n\
             \"rug\",\"2\",\"9\",\"9\",\"1\",\"0.1\",\"0\",\"0\",\"\",\"\",\"0\",\"0\",\"2026-02-07\"\n"
        );
        let imported = read(text).unwrap();
        assert_eq!(
            said(&imported),
            [
                "2 search_query_volume week 2026-02-01 12345 searches",
                "2 search_query_impressions week 2026-02-01 99000 impressions",
                "2 search_query_clicks week 2026-02-01 456 clicks",
                "2 search_query_cart_adds week 2026-02-01 77 cart adds",
                "2 search_query_purchases week 2026-02-01 31 purchases",
                "2 click_price_median week 2026-02-01 24.99 USD",
            ],
            "{word}"
        );
        assert!(
            imported.headers[0].unknown.is_empty() && imported.headers[0].missing.is_empty(),
            "{:?}",
            imported.headers
        );
    }
}

#[test]
fn a_month_of_search_queries_is_a_month() {
    let text = "Brand=[\"Acme\"],Reporting Range=[\"Monthly\"],Select year=[\"2026\"],Select month=[\"January\"]\n\
        Search Query,Search Query Volume\nfloor lamp,700\n";
    assert_eq!(said(&read(text).unwrap()), ["3 search_query_volume month 2026-01-01 700 searches"]);
}

#[test]
fn without_a_period_the_file_is_refused_unless_the_user_says_one() {
    let text = "Search Query,Search Query Volume\nfloor lamp,700\n";
    assert!(read(text).unwrap_err().text.contains("--from and --to"));
    let mut file = TestFile::default();
    file.request.days = Some(("2026-02-01".parse().unwrap(), "2026-02-07".parse().unwrap()));
    assert_eq!(said(&file.read(text.as_bytes()).unwrap()), ["3 search_query_volume week 2026-02-01 700 searches"]);
    file.request.days = Some(("2026-02-02".parse().unwrap(), "2026-02-08".parse().unwrap()));
    assert!(file.read(text.as_bytes()).unwrap_err().text.contains("Sunday to Saturday"));
}

#[test]
fn interest_is_read_by_week_and_little_of_it_is_not_zero() {
    let text = "Category: All categories\n\nWeek,desk lamp: (United States),rug: (United States),table lamp: (United States)\n\
        2026-02-01,100,3,<1\n2026-02-08,57,3,0\n2026-11-15,12,3,4\n";
    let imported = read(text).unwrap();
    assert_eq!(
        said(&imported),
        [
            "1 search_interest week 2026-02-01 100 index",
            "2 search_interest week 2026-02-01 below_threshold: too few people searched to be told index",
            "1 search_interest week 2026-02-08 57 index",
            "2 search_interest week 2026-02-08 below_threshold: too few people searched to be told index",
            "1 search_interest week 2026-11-15 unavailable: the period was not over when the file was imported index",
            "2 search_interest week 2026-11-15 unavailable: the period was not over when the file was imported index",
        ]
    );
    assert_eq!(imported.keywords.untracked.keys().collect::<Vec<_>>(), ["rug"]);
}

#[test]
fn interest_comes_by_month_and_day_and_in_other_languages_and_regions() {
    let month = "Month\tdesk lamp: (United States)\n2026-01\t40\n";
    assert_eq!(said(&read(month).unwrap()), ["1 search_interest month 2026-01-01 40 index"]);
    let mut file = TestFile { market: "DE", ..TestFile::default() };
    let german = "Kategorie: Alle Kategorien\n\nTag;desk lamp: (Deutschland)\n2026-02-03;40\n";
    let read_as_germany = ["1 search_interest day 2026-02-03 40 index"];
    assert_eq!(said(&file.read(german.as_bytes()).unwrap()), read_as_germany);
    assert_eq!(said(&file.read(german.replace("Deutschland", "Alemania").as_bytes()).unwrap()), read_as_germany);
    let bavaria = german.replace("Deutschland", "Bayern");
    assert!(file.read(bavaria.as_bytes()).unwrap_err().text.contains("say --region 'Bayern'"));
    assert!(file.read(german.replace("Deutschland", "Frankreich").as_bytes()).is_err());
    file.request.region = Some("Bayern".to_owned());
    assert_eq!(said(&file.read(bavaria.as_bytes()).unwrap()), read_as_germany);
    let monday = read("Week,desk lamp: (United States)\n2026-02-01,4\n2026-02-09,5\n").unwrap();
    assert_eq!(aside(&monday), ["/line/3: no week begins on 2026-02-09"]);
}

const PLAN_HEAD: &str = "Keyword Stats 2026-06-09 at 21_25_18\n\"May 1, 2025 - April 30, 2026\"\nKeyword\tCurrency\tAvg. monthly searches\tThree month change\tYoY change\tCompetition\tCompetition (indexed value)\tTop of page bid (low range)\tTop of page bid (high range)\tIn account?\tSearches: Mar 2026\tSearches: Apr 2026\n";

#[test]
fn a_keyword_plan_is_read_from_utf_16_with_tabs() {
    let text = format!(
        "{PLAN_HEAD}desk lamp\tUSD\t12,100\t0%\t22%\tHigh\t97\t0.42\t1.85\tN\t9900\t14,800\nlamps & more\tUSD\t10\t\t\tLow\t3\t\t\tN\t10\t10\n"
    );
    let imported = read(utf_16(&text)).unwrap();
    assert_eq!((imported.kind, imported.headers[0].form.as_str()), (Kind::KeywordPlan, "UTF-16LE, tab"));
    assert_eq!(
        said(&imported),
        [
            "1 monthly_searches_average span 2025-05-01 12100 searches",
            "1 monthly_searches month 2026-03-01 9900 searches",
            "1 monthly_searches month 2026-04-01 14800 searches",
            "1 ad_competition_index span 2025-05-01 97 index",
            "1 top_of_page_bid_low span 2025-05-01 0.42 USD",
            "1 top_of_page_bid_high span 2025-05-01 1.85 USD",
        ]
    );
}

#[test]
fn ranges_of_a_keyword_plan_keep_their_ends() {
    let rows = "desk lamp\tUSD\t1K – 10K\t\t\tHigh\t97\t\t\tN\t\t\ntable lamp\tUSD\t>100\t\t\tHigh\t5\t\t\tN\t\t\n";
    let imported = read(utf_16(&format!("{PLAN_HEAD}{rows}"))).unwrap();
    let averages: Vec<String> = said(&imported).into_iter().filter(|one| one.contains("monthly_searches_")).collect();
    assert_eq!(
        averages,
        [
            "1 monthly_searches_average span 2025-05-01 about 3163 searches",
            "1 monthly_searches_low span 2025-05-01 about 1000 searches",
            "1 monthly_searches_high span 2025-05-01 about 10000 searches",
            "2 monthly_searches_average span 2025-05-01 unavailable: the file gives only a lower end searches",
            "2 monthly_searches_low span 2025-05-01 about 100 searches",
        ]
    );
}

#[test]
fn numbers_that_stand_for_ranges_are_found_out_by_their_empty_months() {
    let stand_ins = "desk lamp\tUSD\t500\t\t\tHigh\t97\t\t\tN\t\t\nrug\tUSD\t50000\t\t\tHigh\t5\t\t\tN\t\t\n";
    let averages = |rows: &str| said(&read(utf_16(&format!("{PLAN_HEAD}{rows}"))).unwrap());
    assert_eq!(averages(stand_ins)[1], "1 monthly_searches_low span 2025-05-01 about 100 searches");
    assert_eq!(averages(stand_ins)[2], "1 monthly_searches_high span 2025-05-01 about 1000 searches");
    let exact = stand_ins.replace("\tN\t\t\nrug", "\tN\t490\t510\nrug");
    assert_eq!(averages(&exact)[0], "1 monthly_searches_average span 2025-05-01 500 searches");
}

#[test]
fn a_series_says_metric_period_and_unit_itself() {
    let text = "Keyword;Date;Metric;Value;Unit;Period\n\
        desk lamp;2026-02-01;search_query_volume;1200;;week\n\
        desk lamp;2026-02;monthly_searches;4800;searches;\n\
        table lamp;2026-02-03;top_click_share;12.5%;;\n\
        table lamp;2026-02-03;click_price_median;19.99;EUR;day\n\
        table lamp;2026-04;search_interest;;;quarter\n";
    let imported = read(text).unwrap();
    assert_eq!(
        said(&imported),
        [
            "1 search_query_volume week 2026-02-01 1200 searches",
            "1 monthly_searches month 2026-02-01 4800 searches",
            "2 top_click_share day 2026-02-03 0.125 share",
            "2 click_price_median day 2026-02-03 19.99 EUR",
            "2 search_interest quarter 2026-04-01 unavailable: the cell is empty index",
        ]
    );
    let comma = TestFile {
        request: ImportRequest { decimal_mark: crate::tables::numbers::DecimalMark::Comma, ..ImportRequest::default() },
        ..TestFile::default()
    };
    let german = "keyword;date;metric;value;unit\ndesk lamp;2026-02-03;click_price_median;1.019,99;EUR\n";
    assert_eq!(said(&comma.read(german.as_bytes()).unwrap()), ["1 click_price_median day 2026-02-03 1019.99 EUR"]);
}

#[test]
fn what_a_series_cannot_mean_is_set_aside_row_by_row() {
    let text = "keyword,date,metric,value,unit,period\n\
        desk lamp,2026-02-01,search_query_volume,1200,,week\n\
        desk lamp,2026-02-02,search_query_volume,1200,,week\n\
        desk lamp,2/8/2026,search_query_volume,1200,,week\n\
        desk lamp,2026-02-08,volume,1200,,week\n\
        desk lamp,2026-02-08,click_price_median,9.99,,week\n\
        desk lamp,2026-02-08,top_click_share,12.5,,week\n\
        desk lamp,2026-02-08,search_frequency_rank,0,,week\n\
        desk lamp,2026-02-01,search_query_volume,1300,,week\n\
        desk lamp,2026-02-01,search_query_volume,1200,,week\n\
        desk lamp,2027-02-07,search_query_volume,1200,,week\n\
        desk lamp,2026-02-08,search_query_volume,-5,,week\n";
    let imported = read(text).unwrap();
    assert_eq!(said(&imported), ["1 search_query_volume week 2026-02-01 1200 searches"]);
    let aside = aside(&imported);
    for (line, word) in [
        (3, "no week begins on"),
        (4, "may be two days"),
        (5, "is not one of"),
        (6, "is money"),
        (7, "a share from 0 to 1"),
        (8, "a rank from 1"),
        (9, "another row gives the keyword another search_query_volume"),
        (11, "lies after the import"),
        (12, "is not the number"),
    ] {
        let place = format!("/line/{line}: ");
        let reason = aside.iter().find(|reason| reason.starts_with(&place));
        assert!(reason.is_some_and(|reason| reason.contains(word)), "{line} {word}: {aside:#?}");
    }
    assert_eq!(aside.len(), 9, "line 10 says what line 2 says: {aside:#?}");
}

#[test]
fn a_header_that_nobody_knows_is_an_error_that_says_what_is_expected() {
    let problem = read("Term,Searches\nlamp,5\n").unwrap_err().text;
    for word in
        ["found: Term, Searches", "search-query: 'search query', 'search query volume'", "series: 'keyword', 'date'"]
    {
        assert!(problem.contains(word), "{problem}");
    }
    let declared = TestFile { kind: Some(Kind::Series), ..TestFile::default() };
    let problem = declared.read(b"keyword,date,value\nlamp,2026-01-01,5\n").unwrap_err().text;
    assert!(problem.contains("expected: series: 'keyword', 'date', 'metric', 'value'"), "{problem}");
    assert!(
        read("keyword,avg monthly searches,date,metric,value\n").unwrap_err().text.contains("say which with --kind")
    );
    let twice = read("keyword,search term,date,metric,value\nlamp,lamp,2026-01-01,x,5\n").unwrap_err();
    assert!(twice.text.contains("'keyword' and 'search term' are both read as keyword"), "{twice}");
}

#[test]
fn amazons_reports_are_about_amazon_alone() {
    let file = TestFile { marketplace: Marketplace::Ebay, ..TestFile::default() };
    assert!(file.read(SEARCH_TERMS.as_bytes()).unwrap_err().text.contains("is about amazon, not ebay"));
}
