// Times expr-lang the way KEDA uses it: the text is wrapped in float(...), compiled once against a map of float64, and at each
// poll a fresh map of values is made and the program is run. Prints one JSON object per formula, like bench-formula.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

type formula struct {
	Name, Text string
	Values     map[string]float64
}

var formulas = []formula{
	{"retraining", "validation_drift > 0.1 && available_gpus >= 2 && request_queue_length < 1000 ? 1 : 0",
		map[string]float64{"validation_drift": 0.3, "available_gpus": 4, "request_queue_length": 120}},
	{"token-latency", "1 / (tokens_per_min / pod_count)", map[string]float64{"tokens_per_min": 90000, "pod_count": 3}},
	{"model-rebalancing", "tokens_per_min >= 5000 ? request_rate : 0",
		map[string]float64{"tokens_per_min": 9000, "request_rate": 250}},
	{"aggregates", "sum([a,b,c,d]) > 10 ? max(a,b,c) : mean([a,b,c,d])",
		map[string]float64{"a": 1, "b": 2, "c": 3, "d": 4}},
}

func median(values []float64) float64 {
	sort.Float64s(values)
	return values[len(values)/2]
}

func timed(n int, work func()) float64 {
	var rounds []float64
	for r := 0; r < 7; r++ {
		start := time.Now()
		for i := 0; i < n; i++ {
			work()
		}
		rounds = append(rounds, float64(time.Since(start).Nanoseconds())/float64(n))
	}
	return median(rounds)
}

func main() {
	out := json.NewEncoder(os.Stdout)
	for _, f := range formulas {
		f := f
		text := "float(" + f.Text + ")"
		env := map[string]float64{}
		for name := range f.Values {
			env[name] = -1
		}
		program, err := expr.Compile(text, expr.Env(env))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		names := make([]string, 0, len(f.Values))
		for name := range f.Values {
			names = append(names, name)
		}
		machine := vm.VM{}
		asKeda := timed(200000, func() {
			values := make(map[string]float64, len(names))
			for _, name := range names {
				values[name] = f.Values[name]
			}
			if _, err := expr.Run(program, values); err != nil {
				panic(err)
			}
		})
		reused := timed(200000, func() {
			if _, err := machine.Run(program, f.Values); err != nil {
				panic(err)
			}
		})
		compile := timed(2000, func() {
			if _, err := expr.Compile(text, expr.Env(env)); err != nil {
				panic(err)
			}
		})
		out.Encode(map[string]any{"name": f.Name, "eval_ns": asKeda, "eval_reused_vm_ns": reused, "compile_ns": compile})
	}
}
