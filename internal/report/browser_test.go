package report

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"rocca/internal/model"
)

// tab is a page in a browser, with what the browser complained about.
type tab struct {
	*testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string
	asked      []string // addresses that the page asked for
}

// start starts one browser for all tests of pages.
func start(t *testing.T) context.Context {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		line := "NO BROWSER, " + t.Name() + " TESTS NOTHING: chromium is not installed"
		if os.Getenv("CI") == "true" {
			t.Fatal(line)
		}
		fmt.Fprintln(os.Stderr, line) // also where only failures are shown
		t.Skip(line)
	}
	options := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	options = append(options, chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU) // root has no sandbox; the pages are our own
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	return ctx
}

// open opens a page in a tab of its own, from a file, as from a mail.
func open(parent context.Context, t *testing.T, file, fragment string, width, height int64, scheme string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent)
	t.Cleanup(cancel)
	page := &tab{T: t, ctx: ctx}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	limited, stop := context.WithTimeout(ctx, time.Minute)
	t.Cleanup(stop)
	page.ctx = limited
	if err := chromedp.Listen(ctx, page.listen); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(page.ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(page.ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(page.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}); err != nil {
		t.Fatal(err)
	}
	address := (&url.URL{Scheme: "file", Path: file, Fragment: fragment}).String()
	if err := chromedp.Do(page.ctx, chromedp.EmulateViewport(width, height), chromedp.Navigate(address)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(page.quiet)
	return page
}

func (p *tab) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		p.complaints = append(p.complaints, fmt.Sprintf("%s: %s", e.Entry.Level, e.Entry.Text))
	case *runtime.EventConsoleAPICalled:
		p.complaints = append(p.complaints, fmt.Sprintf("console.%s", e.Type))
	case *runtime.EventExceptionThrown:
		p.complaints = append(p.complaints, e.ExceptionDetails.Text)
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, "data:") {
			p.asked = append(p.asked, e.Request.URL)
		}
	}
}

// quiet fails when the browser complained, or was asked for more than the page.
func (p *tab) quiet() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.complaints {
		p.Errorf("the browser says: %s", c)
	}
	if len(p.asked) != 1 {
		p.Errorf("the page asked for %q", p.asked)
	}
}

// eval evaluates a script, which stands outside of the page's policy.
func eval[T any](p *tab, script string) T {
	p.Helper()
	got, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](script))
	if err != nil {
		p.Fatalf("%s: %v", script, err)
	}
	return got
}

func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.Fatal(err)
	}
}

func click(css string) chromedp.Action[chromedp.Void] { return chromedp.Click(chromedp.CSS(css)) }

// settle waits until the page has done what it put off: timers run in order.
func settle() chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](`new Promise((done) => setTimeout(done))`, chromedp.EvalAwaitPromise)
}

// becomes waits until something is true.
func (p *tab) becomes(what, script string) {
	p.Helper()
	limited, stop := context.WithTimeout(p.ctx, 10*time.Second)
	defer stop()
	if _, err := chromedp.Run(limited, chromedp.Poll[bool](script)); err != nil {
		p.Errorf("%s: not so (%v)", what, err)
	}
}

// shown are the ids of the findings that can be seen.
func (p *tab) shown() string {
	p.Helper()
	return eval[string](p, `[...document.querySelectorAll(".finding")].filter((f) => f.checkVisibility()).map((f) => f.id).join(" ")`)
}

func (p *tab) want(when, want string) {
	p.Helper()
	if got := p.shown(); got != want {
		p.Errorf("%s: shown are %s, want %s", when, got, want)
	}
	count := fmt.Sprintf("%d of %d controls shown", len(strings.Fields(want)), len(sample().Findings))
	if got := eval[string](p, `document.getElementById("shown").textContent`); got != count {
		p.Errorf("%s: it says %q, want %q", when, got, count)
	}
}

func save(t *testing.T, r model.Report) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, write(t, "html", r), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPageInABrowser(t *testing.T) {
	ctx := start(t)
	file := save(t, sample())

	t.Run("filters", func(t *testing.T) {
		p := open(ctx, t, file, "", 1280, 900, "light")
		p.want("at first", "HST-05 FS-04 ISO-03 APP-20 PRV-03 NEW-01")
		p.do(click(`input[value="pass"]`), click(`input[value="na"]`))
		p.want("with all that pass", "HST-05 HST-08 FS-04 FS-02 ISO-03 APP-20 PRV-03 NEW-01")
		p.do(click(`input[name="severity"][value="critical"]`))
		p.want("without critical ones", "HST-05 HST-08 APP-20 PRV-03 NEW-01")
		p.do(click(`button[type="reset"]`), settle())
		p.want("reset", "HST-05 FS-04 ISO-03 APP-20 PRV-03 NEW-01")
		p.do(chromedp.SendKeys(chromedp.CSS("#search"), "Config.INI password"))
		p.want("searched", "FS-04")
		p.do(chromedp.SendKeys(chromedp.CSS("#search"), " nowhere"))
		p.want("searched in vain", "")
		if !eval[bool](p, `document.getElementById("none").checkVisibility()`) {
			p.Error("nothing says that nothing fits")
		}
		p.do(click(`button[type="reset"]`), settle(), chromedp.SetValue(chromedp.CSS("#area"), "PRV"))
		eval[chromedp.Void](p, `document.getElementById("area").dispatchEvent(new Event("input", {bubbles: true}))`)
		p.want("one area", "PRV-03")
		if got := eval[string](p, `[...document.querySelectorAll(".area")].filter((a) => a.checkVisibility()).map((a) => a.dataset.area).join(" ")`); got != "PRV" {
			p.Errorf("headings of areas that are shown: %s", got)
		}
		p.do(click(`.tile.critical`))
		p.want("by the tile", "FS-04 ISO-03")
		p.do(click("#toggle"))
		if got := eval[int](p, `document.querySelectorAll(".finding[open]").length`); got != 2 {
			p.Errorf("%d findings are open, want those that are shown", got)
		}
		p.do(click("#toggle"))
		if got := eval[int](p, `document.querySelectorAll(".finding[open]").length`); got != 0 {
			p.Errorf("%d findings are open after closing all", got)
		}
	})

	t.Run("deep links", func(t *testing.T) {
		for _, id := range []string{"FS-04", "FS-02"} { // one is shown at first, one is not
			p := open(ctx, t, file, id, 1280, 700, "light")
			p.becomes(id+" is open and in sight", `(() => { const f = document.getElementById("`+id+`"), top = f.getBoundingClientRect().top; return f.open && f.checkVisibility() && top >= 0 && top < innerHeight })()`)
			p.do(chromedp.KeyEvent("\t"))
			if !eval[bool](p, `document.getElementById("`+id+`").contains(document.activeElement)`) {
				p.Errorf("%s: the next stop is %s", id, eval[string](p, `document.activeElement.outerHTML.slice(0, 80)`))
			}
		}
		p := open(ctx, t, file, "", 1280, 700, "light")
		const link, opened = `#map-s2 a[href="#FS-02"]`, `document.getElementById("FS-02").open`
		p.do(click(`#map-s2 summary`), click(link))
		p.becomes("the link opens it", opened+` && document.getElementById("FS-02").contains(document.activeElement)`)
		eval[chromedp.Void](p, opened+` = false`)
		p.do(click(link))
		p.becomes("the link opens it again", opened)
		eval[chromedp.Void](p, `location.hash = "#%E0%A4%A"`) // not an address: no complaint
	})

	t.Run("copy", func(t *testing.T) {
		p := open(ctx, t, file, "FS-04", 1280, 900, "light")
		p.do(click(`#FS-04 .copy`))
		p.becomes("the button says that it did it", `["Copied", "Selected"].includes(document.querySelector("#FS-04 .copy").textContent)`)
	})

	t.Run("keyboard", func(t *testing.T) {
		p := open(ctx, t, file, "", 1280, 900, "light")
		p.do(chromedp.KeyEvent("\t"))
		if got := eval[string](p, `document.activeElement.className`); got != "skip" {
			p.Errorf("the first stop is %q, not the link to the findings", got)
		}
		for range 120 {
			p.do(chromedp.KeyEvent("\t"))
			if eval[bool](p, `!!document.activeElement.closest(".finding")`) {
				break
			}
			if !eval[bool](p, `document.activeElement === document.body || getComputedStyle(document.activeElement).outlineStyle !== "none"`) {
				p.Errorf("one cannot see that %s has the focus", eval[string](p, `document.activeElement.outerHTML.slice(0, 80)`))
			}
		}
		p.do(chromedp.KeyEvent("\r"))
		if got := eval[string](p, `document.querySelector(".finding[open]")?.id ?? ""`); got != "HST-05" {
			p.Errorf("the key opened %q", got)
		}
	})

	t.Run("print", func(t *testing.T) {
		p := open(ctx, t, file, "", 1280, 900, "dark")
		if _, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"}); err != nil {
			t.Fatal(err)
		}
		if eval[bool](p, `document.getElementById("filters").checkVisibility()`) {
			p.Error("the filters are printed")
		}
		if !eval[bool](p, `document.querySelector("#FS-04 .why").checkVisibility({contentVisibilityAuto: true, visibilityProperty: true}) && document.querySelector("#FS-04 .why").getBoundingClientRect().height > 10`) {
			p.Error("what is folded is not printed")
		}
		if got := eval[string](p, `getComputedStyle(document.body).backgroundColor`); got != "rgb(255, 255, 255)" {
			p.Errorf("printed on %s", got)
		}
		pdf, err := chromedp.Run(p.ctx, chromedp.PrintToPDF())
		if err != nil || len(pdf) < 10000 {
			t.Errorf("printed %d bytes: %v", len(pdf), err)
		}
	})

	t.Run("hostile text", func(t *testing.T) {
		r := sample()
		for i := range r.Findings {
			r.Findings[i].Title, r.Findings[i].Fix = hostile, hostile
		}
		p := open(ctx, t, save(t, r), "", 1280, 900, "light")
		if got := eval[int](p, `document.querySelectorAll("script").length + document.images.length`); got != 1 {
			p.Errorf("%d scripts and images, want the one script", got)
		}
	})

	t.Run("nothing found", func(t *testing.T) {
		p := open(ctx, t, save(t, fine()), "", 1280, 900, "light")
		if got := eval[string](p, `document.querySelector(".verdict").textContent`); got != "No finding is open." {
			p.Errorf("it says %q", got)
		}
	})
}

func TestPageWithoutScripts(t *testing.T) {
	p := open(start(t), t, save(t, sample()), "", 1280, 900, "light")
	if _, err := chromedp.Call(p.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	p.do(chromedp.Reload())
	p.mu.Lock()
	p.asked = p.asked[:1] // it was loaded twice
	p.mu.Unlock()
	if got := len(strings.Fields(p.shown())); got != len(sample().Findings) {
		t.Errorf("%d findings are shown", got)
	}
	if eval[bool](p, `document.getElementById("filters").checkVisibility()`) {
		t.Error("filters are shown that do nothing")
	}
	p.do(click(`#FS-04 summary`))
	if !eval[bool](p, `document.querySelector("#FS-04 .why").checkVisibility()`) {
		t.Error("a finding does not open")
	}
}

// TestPageIsForEverybody measures the whole page, with all of it open, in both
// colour schemes and at the widths of a desk and of a small phone.
func TestPageIsForEverybody(t *testing.T) {
	ctx := start(t)
	file := save(t, sample())
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 768, 360} {
			t.Run(fmt.Sprintf("%s, %d pixels", scheme, width), func(t *testing.T) {
				p := open(ctx, t, file, "", width, 900, scheme)
				eval[chromedp.Void](p, `for (const box of document.querySelectorAll("input[type=checkbox]")) if (!box.checked) box.click(); for (const d of document.querySelectorAll("details")) d.open = true`)
				for _, problem := range eval[[]string](p, measure) {
					p.Error(problem)
				}
			})
		}
	}
}

// measure lists what is against WCAG 2.2 AA and can be computed: contrast of
// text (1.4.3) and of the borders of controls (1.4.11), text that runs out of
// the page (1.4.10), order of headings (1.3.1), names of controls (4.1.2), ids
// that are there twice, and targets that are too small (2.5.8).
const measure = `(() => {
  const problems = [];
  const parse = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const over = (top, under) => ({
    r: top.r * top.a + under.r * (1 - top.a), g: top.g * top.a + under.g * (1 - top.a), b: top.b * top.a + under.b * (1 - top.a), a: 1,
  });
  const luminance = (c) => {
    const [r, g, b] = [c.r, c.g, c.b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [x, y] = [luminance(a), luminance(b)].sort((m, n) => n - m);
    return (x + 0.05) / (y + 0.05);
  };
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), { r: 255, g: 255, b: 255, a: 1 });
  };
  const tell = (element) => element.outerHTML.replace(/\s+/g, " ").slice(0, 100);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility() || element.closest("script, style, title, desc")) continue;
    seen++;
    const style = getComputedStyle(element);
    const svg = element instanceof SVGElement;
    let under = behind(element);
    if (svg) {
      const box = element.classList.contains("sign") ? element.previousElementSibling : element.closest("g")?.querySelector(".box") ?? element.ownerSVGElement.querySelector(".paper");
      under = parse(getComputedStyle(box).fill);
    }
    const size = parseFloat(style.fontSize), large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
    const ratio = contrast(over(parse(svg ? style.fill : style.color), under), under);
    if (ratio < (large ? 3 : 4.5)) problems.push("contrast " + ratio.toFixed(2) + ": " + tell(element));
  }
  if (seen < 200) problems.push("only " + seen + " texts were measured");

  for (const control of document.querySelectorAll("input, select, button, summary, a[href], [tabindex]")) {
    if (!control.checkVisibility()) continue;
    const name = control.getAttribute("aria-label") || [...(control.labels ?? [])].map((l) => l.textContent).join(" ") || control.textContent;
    if (!name.trim()) problems.push("no name: " + tell(control));
    const box = control.getBoundingClientRect();
    const inline = getComputedStyle(control).display === "inline" || control.closest("label");
    if (!inline && !control.classList.contains("skip") && (box.height < 24 || box.width < 24)) problems.push("only " + box.width + "x" + box.height + ": " + tell(control));
    if (control.matches("input[type=search], select, button")) {
      const ratio = contrast(over(parse(getComputedStyle(control).borderTopColor), behind(control.parentElement)), behind(control.parentElement));
      if (ratio < 3) problems.push("border " + ratio.toFixed(2) + ": " + tell(control));
    }
  }
  if (document.getElementById("shown").getAttribute("aria-live") !== "polite") problems.push("the count is not told");

  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) problems.push("h" + level + " is followed by " + tell(heading));
    level = next;
  }
  for (const landmark of ["main", "header", "footer", "nav", "h1"]) {
    if (document.querySelectorAll("body > " + landmark + ", header " + landmark).length !== 1) problems.push("not one " + landmark);
  }
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) problems.push("twice: #" + id);
  for (const link of document.querySelectorAll("a[href^='#']")) {
    if (!document.getElementById(decodeURIComponent(link.hash.slice(1)))) problems.push("leads nowhere: " + tell(link));
  }

  if (document.documentElement.scrollWidth > innerWidth) problems.push("the page is " + document.documentElement.scrollWidth + " wide");
  for (const element of document.body.querySelectorAll("*")) {
    if (element.closest(".canvas, .skip, .spoken, thead") || !element.checkVisibility()) continue;
    const box = element.getBoundingClientRect();
    if (box.width && (box.right > innerWidth + 1 || box.left < -1)) problems.push("runs out of the page: " + tell(element));
  }
  return problems;
})()`
