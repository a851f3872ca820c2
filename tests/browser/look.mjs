// Opens an address in Chromium, and tells as JSON what the browser made of the page, and what it said on its console. Both
// come from the page in one stream, so that all it has said by then is told: what a browser writes to its log, or not any
// more, when it is ended is no such thing. A page that scripts build is there when what the third word selects is.
import puppeteer from "puppeteer-core";

const browser = await puppeteer.launch({
  executablePath: process.argv[2],
  args: ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
  // Machines may be slow; what never ends is an error all the same.
  protocolTimeout: 120_000,
  timeout: 120_000,
});
try {
  const page = await browser.newPage();
  const said = [];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  // What a page does a moment later is seen as well.
  await page.goto(process.argv[3], { waitUntil: "networkidle0", timeout: 120_000 });
  if (process.argv[4]) {
    await page.waitForSelector(process.argv[4], { timeout: 120_000 });
  }
  process.stdout.write(JSON.stringify({ page: await page.content(), said }));
} finally {
  await browser.close();
}
