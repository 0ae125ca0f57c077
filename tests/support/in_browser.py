"""A page in a real, offline Chromium, with everything that it logged and requested."""

import contextlib
import shutil

import pytest

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")

#: Whether every chart is drawn.
DRAWN = "[...document.querySelectorAll('.chart')].every(chart => chart.querySelector('svg'))"
#: The number of marks of each chart, by its id.
MARKS = """Object.fromEntries([...document.querySelectorAll('.chart')].map(chart =>
    [chart.id, chart.querySelectorAll('.mark-group.role-frame .role-mark > *').length]))"""
#: Elements that reach beyond the right edge, but for those that scroll.
TOO_WIDE = """[...document.querySelectorAll('main *, header *, nav *')]
    .filter(element => !element.closest('.scroll') &&
        element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .map(element => element.tagName + '.' + element.className)"""
#: Sections without a visible heading, their texts that are not seen, and charts without a visible mark.
HIDDEN = """[...document.querySelectorAll('main section')].flatMap(section => {
    const size = element => element.getBoundingClientRect();
    const seen = element => element.checkVisibility({ opacityProperty: true }) &&
        size(element).width > 0 && size(element).height > 0;
    const faults = [], name = section.id || section.textContent.slice(0, 40);
    const heading = section.querySelector(':scope > :is(h2, h3, h4, h5, h6)');
    if (!heading || !heading.textContent.trim() || !seen(heading)) faults.push(`${name}: heading`);
    for (const text of section.querySelectorAll('p, li, dd, dt, td, th, figcaption, summary, pre'))
        if (text.textContent.trim() && !seen(text) && !text.closest('.unseen'))
            faults.push(`${name}: ${text.textContent.slice(0, 40)}`);
    for (const chart of section.querySelectorAll('.chart')) {
        const svg = chart.querySelector('svg');
        const marks = [...chart.querySelectorAll('.mark-group.role-frame .role-mark > *')];
        // A line through a single point has a size of 0.
        const drawn = marks.some(mark => size(mark).width + size(mark).height > 0 &&
            getComputedStyle(mark).opacity > 0);
        if (!svg || size(svg).width < 100 || size(svg).height < 60 || !drawn)
            faults.push(`${name}: chart ${chart.id}`);
    }
    return faults;
})"""
#: Ids of several elements.
SHARED_IDS = """[...document.querySelectorAll('[id]')].map(element => element.id)
    .filter((id, place, all) => all.indexOf(id) !== place)"""
#: Links within the page that lead to no element.
LOST_LINKS = """[...document.querySelectorAll('a[href^="#"]')].map(link => link.getAttribute('href'))
    .filter(address => !document.getElementById(address.slice(1)))"""
#: Texts of charts that reach beyond their drawing, where they are cut.
CUT = """[...document.querySelectorAll('.chart svg')].flatMap(svg => {
    const box = svg.getBoundingClientRect();
    return [...svg.querySelectorAll('text')].filter(text => {
        const own = text.getBoundingClientRect();
        return own.width && (own.right > box.right + 1 || own.left < box.left - 1);
    }).map(text => svg.closest('.chart').id + ': ' + text.textContent);
})"""
#: Pairs of texts within the marks of a chart, whose id ends in the argument, that cover each other.
OVERLAPPING = """kind => {
    const texts = [...document.querySelectorAll(`.chart[id$="${kind}"] .role-mark.mark-text text`)];
    const boxes = texts.map(text => ({ text: text.textContent, box: text.getBoundingClientRect() }));
    return boxes.flatMap((one, place) => boxes.slice(place + 1).filter(({ box }) =>
        one.box.right > box.left + 1 && box.right > one.box.left + 1 &&
        one.box.bottom > box.top + 2 && box.bottom > one.box.top + 2
    ).map(other => [one.text, other.text]));
}"""
#: Visible texts whose contrast with their background is below 4.5:1 (WCAG 2.2, 1.4.3), with the ratio.
LOW_CONTRAST = """(() => {
    const rgba = text => {
        const values = text.match(/[\\d.]+/g).map(Number);
        return [...values.slice(0, 3), values[3] ?? 1];
    };
    const linear = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const luminance = c => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
    const ground = element => {
        for (let at = element; at; at = at.parentElement) {
            const colour = rgba(getComputedStyle(at).backgroundColor);
            if (colour[3] > 0) return colour;
        }
        return [255, 255, 255, 1];
    };
    return [...document.querySelectorAll('body *')].filter(element =>
        [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()) &&
        element.checkVisibility() && !['SCRIPT', 'STYLE'].includes(element.tagName)
    ).flatMap(element => {
        const style = getComputedStyle(element);
        const ink = rgba(element.namespaceURI.endsWith('svg') ? style.fill : style.color);
        if (ink[3] === 0) return [];  // meant for screen readers alone
        const [high, low] = [luminance(ink), luminance(ground(element))].sort((a, b) => b - a);
        const ratio = (high + 0.05) / (low + 0.05);
        return ratio < 4.5 ? [`${element.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`] : [];
    });
})()"""


@contextlib.contextmanager
def chromium():
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@contextlib.contextmanager
def opened(browser, file, width=1280, scheme="light", height=900):
    """The page once its charts are drawn; ``said`` on the console, ``asked`` of the network."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
    )
    page = context.new_page()
    page.said, page.asked = [], []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_function(DRAWN)
    yield page
    context.close()
