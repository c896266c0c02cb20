// unicode-tables writes src/formula/lib_unicode_tables.h: what kind of thing each code point is, its script, its other case.
//
//	go run tools/unicode-tables.go > src/formula/lib_unicode_tables.h
//
// Formulas are Go's in this (docs/formula.md), so the tables are taken from Go's own unicode package: one that came from
// anywhere else would be of another Unicode version. Only needed again when that version is to change.
package main

import (
	"fmt"
	"sort"
	"unicode"
)

const past = unicode.MaxRune + 1

// cells prints cells, as many as fit into a line of 120 columns.
type cells int

func (column *cells) add(cell string) {
	if *column > 0 && int(*column)+1+len(cell) > 116 {
		fmt.Println()
		*column = 0
	}
	if *column == 0 {
		fmt.Print("    ")
	} else {
		fmt.Print(" ")
	}
	fmt.Print(cell)
	*column += cells(1 + len(cell))
}

// runs prints where kind() changes: the first code point of a run, and its kind in the low byte.
func runs(name string, kind func(rune) int) {
	fmt.Printf("static const uint32_t %s[] = {\n", name)
	var line cells
	last := -1
	for r := rune(0); r < past; r++ {
		if k := kind(r); k != last {
			line.add(fmt.Sprintf("0x%x,", int(r)<<8|k))
			last = k
		}
	}
	fmt.Print("\n};\n\n")
}

type caseRange struct {
	first, last, stride, delta rune
}

// mapping prints what to() changes, as runs of equal distance whose members are 1 or 2 apart.
func mapping(name string, to func(rune) rune) {
	var found []caseRange
	for r := rune(0); r < past; r++ {
		delta := to(r) - r
		if delta == 0 {
			continue
		}
		if n := len(found); n > 0 && found[n-1].delta == delta {
			run := &found[n-1]
			step := r - run.last
			if step <= 2 && (run.first == run.last || run.stride == step) {
				run.stride, run.last = step, r
				continue
			}
		}
		found = append(found, caseRange{r, r, 1, delta})
	}
	fmt.Printf("static const struct case_range %s[] = {\n", name)
	var line cells
	for _, c := range found {
		line.add(fmt.Sprintf("{0x%x, 0x%x, %d, %d},", c.first, c.last, c.stride, c.delta))
	}
	fmt.Print("\n};\n\n")
}

func sorted(tables map[string]*unicode.RangeTable) []string {
	var names []string
	for name := range tables {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// categories prints the general categories: runs of the two-letter ones, and for every name the set of those it stands for.
func categories() {
	var single []string
	for _, name := range sorted(unicode.Categories) {
		if len(name) == 2 && name != "LC" {
			single = append(single, name)
		}
	}
	of := func(r rune) int {
		for i, name := range single {
			if unicode.Is(unicode.Categories[name], r) {
				return i
			}
		}
		panic(r)
	}
	runs("category_runs", of)
	set := func(name string) (mask uint32) {
		for i, s := range single {
			if unicode.Is(unicode.Categories[name], sample(unicode.Categories[s])) {
				mask |= 1 << i
			}
		}
		return mask
	}
	fmt.Print("static const struct category_name category_names[] = {\n")
	var line cells
	for _, name := range sorted(unicode.Categories) {
		line.add(fmt.Sprintf("{\"%s\", 0x%x},", name, set(name)))
	}
	var aliases []string
	for alias := range unicode.CategoryAliases {
		aliases = append(aliases, alias)
	}
	sort.Strings(aliases)
	for _, alias := range aliases {
		line.add(fmt.Sprintf("{\"%s\", 0x%x},", alias, set(unicode.CategoryAliases[alias])))
	}
	fmt.Print("\n};\n\n")
	for _, name := range []string{"L", "Nd"} {
		fmt.Printf("#define CATEGORIES_%s 0x%xU\n", name, set(name))
	}
	fmt.Println()
}

// sample is some code point of a table.
func sample(table *unicode.RangeTable) rune {
	if len(table.R16) > 0 {
		return rune(table.R16[0].Lo)
	}
	return rune(table.R32[0].Lo)
}

// scripts prints runs of scripts, 0 being none, and their names from 1 on.
func scripts() {
	names := sorted(unicode.Scripts)
	if len(names) > 254 {
		panic("scripts no longer fit into a byte")
	}
	runs("script_runs", func(r rune) int {
		for i, name := range names {
			if unicode.Is(unicode.Scripts[name], r) {
				return i + 1
			}
		}
		return 0
	})
	fmt.Print("static const char *const script_names[] = {\n")
	var line cells
	line.add("\"\",")
	for _, name := range names {
		line.add(fmt.Sprintf("\"%s\",", name))
	}
	fmt.Print("\n};\n\n")
}

func main() {
	fmt.Printf("/* Made by tools/unicode-tables.go from Unicode %s; not to be edited. */\n", unicode.Version)
	fmt.Print("/* clang-format off */\n")
	fmt.Print("/* first, first + stride ... last, each of which becomes itself + delta. */\n")
	fmt.Print("struct case_range {\n    uint32_t first, last, stride;\n    int32_t delta;\n};\n\n")
	fmt.Print("struct category_name {\n    const char *name;\n    uint32_t set;\n};\n\n")
	categories()
	scripts()
	mapping("to_upper", unicode.ToUpper)
	mapping("to_lower", unicode.ToLower)
	fmt.Print("/* To the next in the ring of code points that differ in case only. */\n")
	mapping("to_other_case", unicode.SimpleFold)
	fmt.Print("/* clang-format on */\n")
}
