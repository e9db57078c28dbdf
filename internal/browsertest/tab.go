package browsertest

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// View describes the window and the settings with which a page is shown.
type View struct {
	Width, Height int64 // CSS pixels
	Dark          bool  // prefers-color-scheme is dark
	NoScript      bool  // JavaScript is switched off
}

// Tab shows a page.
type Tab struct {
	t    testing.TB
	ctx  context.Context
	next func() (chromedp.ConsoleMessage, error, bool) // of the console
}

// Open opens a page in a new tab and returns when it is loaded.
func (b *Browser) Open(t testing.TB, url string, v View) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	t.Cleanup(cancel)
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	tab := &Tab{t: t, ctx: ctx}
	tab.must(chromedp.Do(ctx))
	var stop func()
	tab.next, stop = iter.Pull2(chromedp.Console(ctx))
	t.Cleanup(stop)
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia,
		emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	tab.must(err)
	_, err = chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: v.NoScript})
	tab.must(err)
	tab.do(chromedp.EmulateViewport(v.Width, v.Height))
	tab.do(chromedp.Navigate(url))
	return tab
}

// Follow clicks the element that a CSS selector finds, and returns when the linked page is loaded.
func (p *Tab) Follow(selector string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, maxWait)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector))); err != nil {
		p.t.Fatalf("follow %s: %v", selector, err)
	}
}

// PressTab presses the key Tab, which moves the focus.
func (p *Tab) PressTab() {
	p.t.Helper()
	p.do(chromedp.KeyEvent("\t"))
}

// Evaluate returns the value of a JavaScript expression. It works even with NoScript, which affects
// only the page.
func Evaluate[T any](p *Tab, expression string) T {
	p.t.Helper()
	return evaluate[T](p, expression)
}

// Await returns the value of the promise that a JavaScript expression returns. Scripts have to be
// on.
func Await[T any](p *Tab, expression string) T {
	p.t.Helper()
	return evaluate[T](p, expression, chromedp.EvalAwaitPromise)
}

func evaluate[T any](p *Tab, expression string, options ...chromedp.EvaluateOption) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, maxWait)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, options...))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// ConsoleMessages returns the console messages so far: errors, warnings, violations of the policies
// of the page, and output of scripts.
func (p *Tab) ConsoleMessages() []string {
	p.t.Helper()
	const end = "end of messages"
	Evaluate[bool](p, fmt.Sprintf("console.debug(%q) === undefined", end))
	var all []string
	for {
		message, err, more := p.next()
		if err != nil || !more {
			p.t.Fatalf("read the console: %v", err)
		}
		if message.Text == end {
			return all
		}
		all = append(all, message.String())
	}
}

// FullScreenshot returns the whole page as PNG.
func (p *Tab) FullScreenshot() []byte {
	const lossless = 100
	return p.screenshot(chromedp.FullScreenshot(lossless))
}

// Screenshot returns the part of the page that is visible without scrolling, as PNG.
func (p *Tab) Screenshot() []byte { return p.screenshot(chromedp.CaptureScreenshot()) }

func (p *Tab) screenshot(shot chromedp.Action[[]byte]) []byte {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, maxWait)
	defer cancel()
	png, err := chromedp.Run(ctx, shot)
	p.must(err)
	return png
}

func (p *Tab) do(step chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, maxWait)
	defer cancel()
	p.must(chromedp.Do(ctx, step))
}

func (p *Tab) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}
