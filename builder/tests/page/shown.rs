//! The page in a browser: whole without a network, readable at any width, in the dark and on paper, and usable by keyboard.

use std::fs;

use serde_json::{Value, json};
use soci_testing::{
    image::{Image, Layer, noise, tar_of},
    program::indexed,
};
use tempfile::TempDir;

use crate::{Page, browser::Browser};

/// Names that would be markup, scripts, control characters or another reading direction; and one too long for any line.
fn hostile() -> Vec<String> {
    let names = [
        "<script>document.title='taken'</script>",
        "\"><img src=x onerror=document.title='taken'>",
        "</table></main><style>*{display:none}</style>",
        "&lt;b&gt;",
        "a\u{1b}[2J\nb",
        "exe\u{202e}gpj",
        "{{ 7 * 7 }}",
    ];
    let long = ["long"; 60].join("/") + &"x".repeat(90);
    names.into_iter().map(str::to_owned).chain([long]).collect()
}

/// A page with everything in it: spans, needed and not, a layer that is read whole, files found and not.
fn page() -> Page {
    let hostile = hostile();
    let files = hostile.iter().enumerate();
    let files = files.map(|(number, name)| (name.clone(), noise(number as u64, 60_000)));
    let layers = [
        Layer::gzip(&tar_of(files)),
        Layer::gzip(&tar_of([("etc/small", "text")])),
        Layer::noise(9, 100_000),
    ];
    let (_layout, image) = Image::of(&layers).layout();
    let flags = ["--span-size", "20000", "--min-layer-size", "1000"];
    let image = indexed(&image, &flags);
    let found = hostile.iter().filter(|name| !name.contains('\n')).take(4);
    let found: Vec<_> = found.map(String::as_str).collect();
    let list = format!("{}\n/etc/small\nnone/<b>\n", found.join("\n"));
    let page = Page::of(&image, Some(&list), &[]);
    assert!(page.text.contains("Found: 5 of 6 paths"), "{}", page.text);
    page
}

/// Every `details` opened.
const OPEN_ALL: &str = "document.querySelectorAll('details').forEach(one => one.open = true)";

#[test]
fn it_is_whole_and_nothing_in_it_acts() {
    let page = page();
    let mut browser = Browser::open(&page.path());
    browser.value(OPEN_ALL);
    assert_eq!(browser.troubles(), Vec::<Value>::new());
    let title = browser.value("document.title");
    assert!(
        title.as_str().unwrap().ends_with(": SOCI index report"),
        "{title}"
    );
    assert_eq!(
        browser.value(
            "document.querySelectorAll('script, img, iframe, object, link, [onerror]').length"
        ),
        0
    );
    assert_eq!(
        browser.value("document.querySelectorAll('style').length"),
        1
    );
    let text = browser.value("document.body.innerText");
    for name in hostile() {
        let shown = name
            .replace('\u{1b}', r"\u{1b}")
            .replace('\n', r"\n")
            .replace('\u{202e}', r"\u{202e}");
        assert!(
            text.as_str().unwrap().contains(&shown),
            "no {shown} in {text}"
        );
    }
    // The style is taken, so its digest is right.
    assert_eq!(
        browser.value("getComputedStyle(document.querySelector('.map')).display"),
        "flex"
    );
}

#[test]
fn trouble_would_be_noticed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("page.html");
    let page = page().text;
    let with = |more: &str| {
        fs::write(&path, page.replace("</main>", &format!("{more}</main>"))).unwrap();
        let told = Browser::open(&path).troubles();
        told.iter()
            .map(|event| event["method"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert!(with("").is_empty());
    for harm in [
        "<p style='color: red'>inline style</p>",
        "<script>1</script>",
        "<img src='http://127.0.0.1:9/x' alt=''>",
        "<link rel=stylesheet href='page.css'>",
    ] {
        let told = with(harm);
        assert!(
            told.iter().any(|method| method == "Log.entryAdded"),
            "{harm}: {told:?}"
        );
    }
}

#[test]
fn no_width_needs_scrolling_sideways() {
    let page = page();
    let mut browser = Browser::open(&page.path());
    for width in [320, 360, 768, 1280] {
        browser.resize(width);
        for open in ["0", OPEN_ALL] {
            browser.value(open);
            let wide = "[...document.querySelectorAll('body *')].filter(one => \
                one.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map(one => one.outerHTML.slice(0, 99))";
            assert_eq!(browser.value(wide), json!([]), "at {width}");
            let over =
                "document.documentElement.scrollWidth - document.documentElement.clientWidth";
            assert_eq!(browser.value(over), 0, "at {width}");
        }
    }
}

#[test]
fn the_keyboard_reaches_and_works_everything() {
    let page = page();
    let mut browser = Browser::open(&page.path());
    let all = "[...document.querySelectorAll('a[href], summary')]";
    let all = browser.value(&format!("{all}.map(one => one.textContent.trim())"));
    let all = all.as_array().unwrap();
    assert!(all.len() > 15, "{all:?}");
    for stop in all {
        browser.press("Tab", 9, "");
        let focused = browser.value(
            "(() => { const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect(); \
             return {text: one.textContent.trim(), line: style.outlineStyle + ' ' + style.outlineWidth, \
             seen: box.top >= -1 && box.left >= 0 && box.bottom <= innerHeight + 1 && box.right <= innerWidth}; })()",
        );
        let right = json!({"text": stop, "line": "solid 3px", "seen": true});
        assert_eq!(focused, right);
    }
    browser.value(
        "document.querySelector('#layer-1').closest('article').querySelector('summary').focus()",
    );
    let open = "document.activeElement.parentElement.open";
    for (key, code, text) in [("Enter", 13, "\r"), (" ", 32, " ")] {
        let before = browser.value(open);
        browser.press(key, code, text);
        assert_ne!(browser.value(open), before, "{key:?}");
    }
}

#[test]
fn its_structure_can_be_heard() {
    let page = page();
    let mut browser = Browser::open(&page.path());
    assert_eq!(browser.value("document.documentElement.lang"), "en");
    for landmark in ["header", "nav[aria-label]", "main", "footer", "h1"] {
        let count = format!("document.querySelectorAll('{landmark}').length");
        assert_eq!(browser.value(&count), 1, "{landmark}");
    }
    let levels = browser.value(
        "[...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map(one => +one.tagName[1])",
    );
    let levels: Vec<_> = levels
        .as_array()
        .unwrap()
        .iter()
        .map(|level| level.as_u64().unwrap())
        .collect();
    assert_eq!((levels[0], levels.len()), (1, 1 + 4 + 3));
    assert!(
        levels.windows(2).all(|pair| pair[1] <= pair[0] + 1),
        "{levels:?}"
    );
    for (what, wanted) in [
        (
            "tables without a caption",
            "table:not(:has(> caption:not(:empty)))",
        ),
        ("headers without a scope", "th:not([scope])"),
        ("rows without a header", "tbody tr:not(:has(> th))"),
        (
            "pictures without a name",
            "[role=img]:not([aria-label]), svg:not([aria-label], [aria-hidden])",
        ),
        (
            "sections without a name",
            ":is(section, article):not([aria-labelledby])",
        ),
    ] {
        let found = format!("[...document.querySelectorAll('{wanted}')].map(one => one.outerHTML)");
        assert_eq!(browser.value(&found), json!([]), "{what}");
    }
    let dangling = "[...document.querySelectorAll('a, [aria-labelledby]')].map(one => one.hash?.slice(1) ?? one.getAttribute('aria-labelledby'))\
        .filter(id => !document.getElementById(id))";
    assert_eq!(browser.value(dangling), json!([]));
    let ids = "(ids => ids.length - new Set(ids).size)([...document.querySelectorAll('[id]')].map(one => one.id))";
    assert_eq!(browser.value(ids), 0);
    // What a colour says, words say too: needed spans stand in the titles and in the lists.
    let squares = browser.value("document.querySelectorAll('.map .is-needed').length");
    assert!(squares.as_u64().unwrap() > 0);
    let titles = "document.querySelectorAll('.map .is-needed[title*=needed]').length";
    assert_eq!(browser.value(titles), squares);
    browser.value(OPEN_ALL);
    let rows = "[...document.querySelectorAll('details td')].filter(one => one.textContent == 'yes').length";
    assert_eq!(browser.value(rows), squares);
}

/// The least contrast of any text with what is behind it, and that text.
const CONTRAST: &str = "(() => {
  const parts = color => color.match(/[\\d.]+/g).map(Number);
  const light = color => parts(color).slice(0, 3).map(c => c / 255)
    .map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const ground = one => {
    for (; one; one = one.parentElement) {
      const color = getComputedStyle(one).backgroundColor;
      if (parts(color)[3] !== 0) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  const texts = [...document.querySelectorAll('body *')]
    .filter(one => [...one.childNodes].some(node => node.nodeType == 3 && node.data.trim()));
  const ratios = texts.map(one => {
    const [a, b] = [light(getComputedStyle(one).color), light(ground(one))];
    return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), one.outerHTML.slice(0, 99)];
  });
  return ratios.sort((a, b) => a[0] - b[0])[0];
})()";

#[test]
fn it_is_readable_in_the_light_in_the_dark_and_on_paper() {
    let page = page();
    let mut browser = Browser::open(&page.path());
    browser.value(OPEN_ALL);
    let mut grounds = Vec::new();
    for (medium, scheme) in [("screen", "light"), ("screen", "dark"), ("print", "dark")] {
        browser.medium(medium, scheme);
        let least = browser.value(CONTRAST);
        // What WCAG asks of text, level AA.
        assert!(
            least[0].as_f64().unwrap() >= 4.5,
            "{medium} {scheme}: {least}"
        );
        grounds.push(browser.value("getComputedStyle(document.body).backgroundColor"));
    }
    assert_ne!(grounds[0], grounds[1]);
    assert_eq!(grounds[2], "rgb(255, 255, 255)");
    assert_eq!(
        browser.value("getComputedStyle(document.querySelector('nav')).display"),
        "none"
    );
    let printed = browser.call("Page.printToPDF", json!({}));
    // %PDF-, in base64.
    assert!(printed["data"].as_str().unwrap().starts_with("JVBERi0"));
}
