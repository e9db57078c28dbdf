package page

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
)

// colours returns the variables of the style sheet for the light and the dark scheme.
func colours(t *testing.T) (light, dark map[string]string) {
	t.Helper()
	first, second, found := strings.Cut(style, "@media (prefers-color-scheme: dark)")
	if !found {
		t.Fatal("there is no dark scheme")
	}
	second, _, _ = strings.Cut(second, "\n}\n")
	read := func(text string) map[string]string {
		all := map[string]string{}
		for _, m := range regexp.MustCompile(`--(\w+): (#[0-9a-f]{6})`).FindAllStringSubmatch(text, -1) {
			all[m[1]] = m[2]
		}
		return all
	}
	return read(first), read(second)
}

// luminance is the relative luminance of WCAG 2.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	var rgb [3]uint8
	if _, err := fmt.Sscanf(colour, "#%02x%02x%02x", &rgb[0], &rgb[1], &rgb[2]); err != nil {
		t.Fatalf("colour %q: %v", colour, err)
	}
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		c := float64(rgb[i]) / 255
		if c <= 0.04045 {
			sum += weight * c / 12.92
		} else {
			sum += weight * math.Pow((c+0.055)/1.055, 2.4)
		}
	}
	return sum
}

// TestTextStandsOutAgainstItsBackground checks the contrasts of WCAG 2 AA: 4.5 for text, 3 for
// shapes with a meaning.
func TestTextStandsOutAgainstItsBackground(t *testing.T) {
	const forText, forShapes = 4.5, 3.0
	behind := map[string][]string{
		"ink": {"page", "card", "chip"}, "soft": {"page", "card", "chip"}, "link": {"page", "card"},
		"good": {"page", "chip"}, "high": {"card", "chip"}, "critical": {"page", "card", "chip"},
	}
	light, dark := colours(t)
	if len(light) != len(dark) {
		t.Errorf("%d colours in the light scheme, %d in the dark one", len(light), len(dark))
	}
	for name, scheme := range map[string]map[string]string{"light": light, "dark": dark} {
		require := func(a, b string, least float64) {
			x, y := luminance(t, scheme[a]), luminance(t, scheme[b])
			if ratio := (max(x, y) + 0.05) / (min(x, y) + 0.05); ratio < least {
				t.Errorf("%s: %s on %s has a contrast of %.1f, want %.1f", name, a, b, ratio, least)
			}
		}
		for front, backs := range behind {
			for _, back := range backs {
				require(front, back, forText)
			}
		}
		for _, shape := range []string{"fill", "a3", "a4", "a5"} { // old ages
			require(shape, "card", forShapes)
		}
	}
}
