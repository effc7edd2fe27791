// Opens each page in Debian's Chromium: photographs it, and checks what only a browser can.
//
//   node tests/browser/look.mjs --modules FOLDER --output FOLDER PAGE...
//   node tests/browser/look.mjs --modules FOLDER --top FILE PAGE       the top of a page, as documents show it
//
// For each page: 400, 800 and 1400 pixels wide, dark, and as printed (PDF, and a picture). Checked: nothing is loaded,
// nothing scrolls sideways, nothing is logged as an error, axe-core finds nothing in light and dark, columns sort,
// searching and filtering hide rows, and the commands can be copied. Then faults are planted in the first page that has
// layers, one for each check: what is not found is wrong too. Ends with 1 if anything is wrong.

import {readFileSync, mkdirSync} from "node:fs";
import {createRequire} from "node:module";
import {basename, join, resolve} from "node:path";
import {pathToFileURL} from "node:url";
import {parseArgs} from "node:util";

const {values: given, positionals: pages} = parseArgs({
  allowPositionals: true,
  options: {
    modules: {type: "string", default: "build/look"},
    output: {type: "string", default: "build/look/pictures"},
    browser: {type: "string", default: "/usr/bin/chromium"},
    "no-pictures": {type: "boolean", default: false},
    top: {type: "string"},
  },
});
const modules = createRequire(join(resolve(given.modules), "node_modules", "any.js"));
const {chromium} = modules("playwright-core");
const axe = readFileSync(modules.resolve("axe-core/axe.min.js"), "utf-8");
const quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

const found = [];
let planted = null;  // what is found of the planted faults, while they are looked for
const wrong = (page, text) => {
  if (planted) { planted.push(text); return; }
  found.push(`${page}: ${text}`);
  console.log(`WRONG ${page}: ${text}`);
};

const contrast = async (page, name, scheme) => {
  await page.emulateMedia({colorScheme: scheme});
  await page.evaluate(() => { for (const part of document.querySelectorAll("details")) part.open = true; });
  await page.evaluate(axe);
  const {violations} = await page.evaluate(() => axe.run(document, {resultTypes: ["violations"]}));
  for (const {id, help, nodes} of violations)
    wrong(name, `axe, ${scheme}: ${id}: ${help} (${nodes.length}, such as ${nodes[0].html.slice(0, 120)})`);
  return violations.length;
};

const cells = (page, table, column) =>
  page.$$eval(`${table} tbody tr`, (rows, at) => rows.filter((row) => !row.hidden).map((row) => row.cells[at].textContent.trim()), column);

const sorted = async (page, name) => {
  if (await page.$("#layer-table") === null) return;
  const head = page.locator("#layer-table thead th").nth(4);
  const numbers = async () => (await cells(page, "#layer-table", 4)).filter((text) => text !== "–").map(Number);
  for (const [way, sign] of [["ascending", 1], ["descending", -1]]) {
    await head.locator("button").click();
    const order = await numbers();
    if (order.some((value, at) => at > 0 && sign * (value - order[at - 1]) < 0)) wrong(name, `int8 times do not sort ${way}`);
    if (await head.getAttribute("aria-sort") !== way) wrong(name, `the head does not say ${way}`);
  }
};

const filtered = async (page, name) => {
  if (await page.$("#layer-table") === null) return;
  const search = page.locator('.tools[data-for="layer-table"] input');
  const all = (await cells(page, "#layer-table", 0)).length;
  await search.fill("conv");
  const left = await page.$$eval("#layer-table tbody tr", (rows) => rows.filter((row) => !row.hidden).map((row) => row.dataset.item.toLowerCase()));
  if (!left.length || left.length >= all || left.some((text) => !text.includes("conv"))) wrong(name, `searching leaves ${left.length} of ${all}`);
  await search.fill("");
  const select = page.locator('.tools[data-for="layer-table"] select');
  const kind = await select.locator("option").nth(1).getAttribute("value");
  await select.selectOption(kind);
  const kinds = await page.$$eval("#layer-table tbody tr", (rows) => rows.filter((row) => !row.hidden).map((row) => row.dataset.kind));
  if (!kinds.length || kinds.some((one) => one !== kind)) wrong(name, `filtering by ${kind} leaves ${new Set(kinds)}`);
  await select.selectOption("");
};

const copied = async (page, name) => {
  const blocks = page.locator("button.copy + pre[data-copy]"), buttons = page.locator("button.copy:has(+ pre[data-copy])");
  if (await blocks.count() !== await page.locator("pre[data-copy]").count()) wrong(name, "a command has no button");
  for (let at = 0; at < await blocks.count(); at++) {
    const wanted = await blocks.nth(at).textContent();
    await buttons.nth(at).click();
    const told = await buttons.nth(at).filter({hasText: "Copied"}).waitFor({timeout: 60_000}).catch(() => "never");
    if (told === "never") wrong(name, "a button that was pressed does not say that it copied");
    const selected = await page.evaluate(() => navigator.clipboard.readText().catch(() => getSelection().toString()));
    if (selected.trim() !== wanted.trim()) wrong(name, `copied ${JSON.stringify(selected)}`);
  }
};

const sideways = async (page, name, width) => {
  await page.setViewportSize({width, height: 900});
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) wrong(name, `scrolls sideways by ${wide} at ${width} pixels`);
  const cut = await page.$$eval(".scroll:has(table)", (parts) => parts.map((part) => part.scrollWidth - part.clientWidth).filter((more) => more > 0));
  for (const more of cut) wrong(name, `a table is cut by ${more} at ${width} pixels`);
};

const opened = async (browser, file, name) => {
  const context = await browser.newContext({viewport: {width: 1400, height: 900}, permissions: ["clipboard-read", "clipboard-write"]});
  context.setDefaultTimeout(600_000);  // a busy machine is slow, and no reason to fail
  const page = await context.newPage();
  page.on("request", (request) => { if (!/^(file|data|about):/.test(request.url())) wrong(name, `loads ${request.url()}`); });
  page.on("console", (message) => { if (message.type() === "error") wrong(name, `console: ${message.text()}`); });
  page.on("pageerror", (error) => wrong(name, `script: ${error.message}`));
  await page.goto(pathToFileURL(resolve(file)).href);
  return page;
};

// A fault for each check, and what the check must say of it.
const FAULTS = [
  ["grey text", /color-contrast/, () => document.querySelector("main").insertAdjacentHTML("beforeend", '<p style="color:#949494;background:#fff">grey</p>')],
  ["a picture without words", /image-alt/, () => document.querySelector("main").insertAdjacentHTML("beforeend", '<img src="data:,">')],
  ["a part that is too wide", /scrolls sideways/, () => document.querySelector("main").insertAdjacentHTML("beforeend", '<div style="width:3000px">wide</div>')],
  ["a table that is cut", /table is cut/, () => { document.querySelector("#layer-table tbody th").style.minWidth = "2000px"; }],
  ["heads that do not sort", /do not sort|does not say/, () => document.querySelector("#layer-table thead").addEventListener("click", (event) => event.stopPropagation(), true)],
  ["a search that hides nothing", /searching leaves/, () => document.querySelector('.tools[data-for="layer-table"] input').addEventListener("input", (event) => event.stopImmediatePropagation(), true)],
  ["a filter that hides nothing", /filtering by/, () => document.querySelector('.tools[data-for="layer-table"] select').addEventListener("input", (event) => event.stopImmediatePropagation(), true)],
  ["a button that copies something else", /^copied/, () => {
    const write = navigator.clipboard.writeText.bind(navigator.clipboard);
    navigator.clipboard.writeText = () => write("something else");
  }],
  ["a command without a button", /no button/, () => document.querySelector("main").insertAdjacentHTML("beforeend", "<pre data-copy>quantize</pre>")],
  ["something from a network", /loads|console/, () => { new Image().src = "https://example.invalid/picture.png"; }],
];

const proven = async (browser, file, name) => {
  const page = await opened(browser, file, name);
  if (await page.$("#layer-table") === null) { await page.context().close(); return false; }
  planted = [];
  for (const [, , plant] of FAULTS) await page.evaluate(plant);
  await sideways(page, name, 1400);
  await sorted(page, name);
  await filtered(page, name);
  await copied(page, name);
  await contrast(page, name, "light");
  const said = planted;
  planted = null;
  for (const [fault, expected] of FAULTS)
    if (!said.some((text) => expected.test(text))) wrong(name, `planted and not found: ${fault}`);
  console.log(`${name}: ${FAULTS.length} faults planted, ${FAULTS.filter(([, expected]) => said.some((text) => expected.test(text))).length} found`);
  await page.context().close();
  return true;
};

const browser = await chromium.launch({executablePath: given.browser, args: quiet});
if (given.top) {
  const page = await browser.newPage({viewport: {width: 1000, height: 690}, deviceScaleFactor: 1.4, colorScheme: "light"});
  await page.goto(pathToFileURL(resolve(pages[0])).href);
  mkdirSync(resolve(given.top, ".."), {recursive: true});
  await page.screenshot({path: given.top});
  await browser.close();
  process.exit(0);
}
mkdirSync(given.output, {recursive: true});
for (const file of pages) {
  const name = `${basename(resolve(file, ".."))}-${basename(file, ".html")}`;
  const page = await opened(browser, file, name);
  for (const width of [400, 800, 1400]) {
    await sideways(page, name, width);
    if (!given["no-pictures"]) await page.screenshot({path: join(given.output, `${name}-${width}.png`), fullPage: true});
  }
  if (!given["no-pictures"]) {
    await page.emulateMedia({colorScheme: "dark"});
    await page.screenshot({path: join(given.output, `${name}-dark.png`), fullPage: true});
    await page.emulateMedia({media: "print", colorScheme: "light"});
    await page.pdf({path: join(given.output, `${name}.pdf`), format: "A4", margin: {top: "15mm", bottom: "15mm", left: "15mm", right: "15mm"}});
    await page.setViewportSize({width: 794, height: 1123});  // A4 at 96 dots an inch
    await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
    await page.screenshot({path: join(given.output, `${name}-printed.png`), fullPage: true});
    await page.evaluate(() => dispatchEvent(new Event("afterprint")));
    await page.emulateMedia({media: "screen"});
    await page.setViewportSize({width: 1400, height: 900});
  }
  await sorted(page, name);
  await filtered(page, name);
  await copied(page, name);
  const findings = await contrast(page, name, "light") + await contrast(page, name, "dark");
  console.log(`${name}: axe-core found ${findings} things, in light and dark`);
  await page.context().close();
}
let isProven = false;
for (const file of pages)
  if (!isProven) isProven = await proven(browser, file, "planted");
if (!isProven) wrong("planted", "no page has layers");
await browser.close();
process.exit(found.length ? 1 : 0);
