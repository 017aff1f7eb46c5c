"""What can be said of a widget's looks without eyes, in every size and theme; pictures for eyes."""

from __future__ import annotations

from collections.abc import Sequence

from playwright.sync_api import Locator

from tests.browser.lab import NotebookPage

SIZES = {"narrow": (360, 740), "usual": (1280, 1000), "projector": (1920, 1080)}
THEMES = ("light", "dark")
OVERFLOWING = """
(root) => [root, ...root.querySelectorAll('*')].filter((element) => {
    const box = element.getBoundingClientRect(), outer = root.getBoundingClientRect();
    return element.checkVisibility({visibilityProperty: true}) && box.right > outer.right + 1
        && getComputedStyle(element).position !== 'absolute' && !element.closest('.rnb-race-scroll, .rnb-axis');
}).map((element) => `${element.tagName}.${element.className}: ${element.getBoundingClientRect().right}`)
"""
BELOW_CONTRAST = """
(elements) => {
    const context = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
    const paint = (color) => { context.fillStyle = color; context.fillRect(0, 0, 1, 1); };
    const luminance = () => {
        const channels = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((value) =>
            (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
        return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2];
    };
    const contrast = (element) => {
        const below = [];
        for (let node = element; node; node = node.parentElement) below.unshift(getComputedStyle(node).backgroundColor);
        for (const color of ['white', ...below]) paint(color);
        const background = luminance();
        paint(getComputedStyle(element).color);
        const [dark, light] = [luminance(), background].sort((a, b) => a - b);
        return (light + 0.05) / (dark + 0.05);
    };
    return elements.filter((element) => !(contrast(element) >= 4.5)).map((element) => element.innerText);
}
"""


def check_looks(notebook: NotebookPage, root: Locator, name: str, read: tuple[str, ...]) -> None:
    """Take a picture in every size and theme; nothing sticks out and what is `read` has contrast."""
    for size, (width, height) in SIZES.items():
        notebook.page.set_viewport_size({"width": width, "height": height})
        for theme in THEMES:
            notebook.set_theme(theme)
            root.scroll_into_view_if_needed()
            notebook.screenshot(f"{name}-{size}-{theme}", of=root)
            overflowing = root.evaluate(OVERFLOWING)
            assert not overflowing, "\n".join([size, theme, *overflowing])
            check_contrast(root, read)


def check_contrast(root: Locator, read: Sequence[str]) -> None:
    """Everything visible that is `read` stands out from what is below it."""
    shown = (root.page.viewport_size, root.page.evaluate("() => document.body.dataset.jpThemeName"))
    for selector in read:
        pale = root.locator(f"{selector}:visible").evaluate_all(BELOW_CONTRAST)
        assert not pale, (selector, pale, *shown)
