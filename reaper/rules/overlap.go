package rules

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"unicode"
)

// maxOverlapSteps bounds the work of overlap. Usual expressions need some thousands.
const maxOverlapSteps = 1 << 20

// overlap reports whether some text matches both expressions. It is true too if that would take too
// long to find out, or depends on word or line boundaries.
//
// It walks through the programs of both expressions at once: each step consumes one rune that both
// accept. One rune of each range is enough, so only those at which some range begins or has ended
// are tried.
func overlap(a, b *regexp.Regexp) bool {
	one, two := compileProgram(a), compileProgram(b)
	if one == nil || two == nil {
		return true
	}
	w := &overlapWalk{one: one.Inst, two: two.Inst, runes: borders(one, two), seen: map[overlapState]bool{}}
	w.visit(overlapState{one: uint32(one.Start), two: uint32(two.Start)})
	for steps := 0; len(w.next) > 0; steps += len(w.runes) {
		state := w.next[len(w.next)-1]
		w.next = w.next[:len(w.next)-1]
		if w.step(state) || steps > maxOverlapSteps {
			return true
		}
	}
	return false
}

func compileProgram(e *regexp.Regexp) *syntax.Prog {
	tree, err := syntax.Parse(e.String(), syntax.Perl)
	if err != nil {
		return nil
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil
	}
	return program
}

// borders returns the runes at which the answer of some instruction to "is this rune accepted" can
// change.
func borders(programs ...*syntax.Prog) []rune {
	runes := []rune{0}
	for _, program := range programs {
		for i := range program.Inst {
			inst := &program.Inst[i]
			switch {
			case !consumes(inst):
			case inst.Op == syntax.InstRuneAnyNotNL:
				runes = append(runes, '\n', '\n'+1)
			case len(inst.Rune) == 1: // it can ignore case
				r := inst.Rune[0]
				runes = append(runes, r, r+1)
				for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
					runes = append(runes, f, f+1)
				}
			default: // ranges
				for j := 0; j+1 < len(inst.Rune); j += 2 {
					runes = append(runes, inst.Rune[j], inst.Rune[j+1]+1)
				}
			}
		}
	}
	slices.Sort(runes)
	return slices.Compact(runes)
}

func consumes(inst *syntax.Inst) bool {
	switch inst.Op {
	case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		return true
	}
	return false
}

// overlapState is a place in both programs.
type overlapState struct {
	one, two uint32
	begun    bool // some rune was consumed
	ended    bool // the end of the text was required, so that no rune can follow
}

type overlapWalk struct {
	one, two []syntax.Inst
	runes    []rune
	seen     map[overlapState]bool
	next     []overlapState
}

func (w *overlapWalk) visit(s overlapState) {
	if !w.seen[s] {
		w.seen[s] = true
		w.next = append(w.next, s)
	}
}

// step reports whether both programs match in a state, and else visits the states that follow.
func (w *overlapWalk) step(s overlapState) bool {
	one, two := &w.one[s.one], &w.two[s.two]
	switch {
	case w.passes(one, s, func(s overlapState, to uint32) { s.one = to; w.visit(s) }):
	case w.passes(two, s, func(s overlapState, to uint32) { s.two = to; w.visit(s) }):
	case one.Op == syntax.InstMatch && two.Op == syntax.InstMatch:
		return true
	case consumes(one) && consumes(two) && !s.ended:
		for _, r := range w.runes {
			if one.MatchRune(r) && two.MatchRune(r) {
				w.visit(overlapState{one: one.Out, two: two.Out, begun: true})
				break // all runes lead to the same state
			}
		}
	}
	return false
}

// passes reports whether an instruction consumes nothing and is not the end of its program. It
// visits the states behind it.
func (w *overlapWalk) passes(inst *syntax.Inst, s overlapState, visit func(overlapState, uint32)) bool {
	switch inst.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		visit(s, inst.Out)
		visit(s, inst.Arg)
	case syntax.InstEmptyWidth:
		op := syntax.EmptyOp(inst.Arg)
		if op&syntax.EmptyBeginText != 0 && s.begun {
			return true
		}
		s.ended = s.ended || op&syntax.EmptyEndText != 0
		visit(s, inst.Out)
	case syntax.InstCapture, syntax.InstNop:
		visit(s, inst.Out)
	case syntax.InstFail:
	default:
		return false
	}
	return true
}
