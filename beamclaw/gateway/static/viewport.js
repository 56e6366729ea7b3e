// How high the page is: what an on-screen keyboard leaves of the window.

// No bar of a browser is as high, in pixels.
const KEYBOARD = 150;
const seen = window.visualViewport;
const sheet = new CSSStyleSheet();

function measure() {
  // Whoever enlarges the page with two fingers sees less of it, too; that is no keyboard.
  if (seen.scale > 1.01) return;
  const typing = innerHeight - seen.height > KEYBOARD;
  document.documentElement.toggleAttribute("data-keyboard", typing);
  sheet.replaceSync(typing ? `:root { --seen: ${Math.round(seen.height)}px; }` : "");
  // Some browsers push the page up to show the field; it fits now without that.
  if (typing) scrollTo(0, 0);
}

export function followKeyboard() {
  document.adoptedStyleSheets.push(sheet);
  seen?.addEventListener("resize", measure);
}
