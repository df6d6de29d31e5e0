// Decides histories of registers with Porcupine: the reference for answers and for time.
//
// Each line of standard input is one history, a JSON array of operations; each line of standard output is its answer and
// the seconds that deciding took, without reading.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

// operation has null for an absent value; Return is null where the outcome is not known.
type operation struct {
	Op       string   `json:"op"`
	Key      string   `json:"key"`
	Expected *string  `json:"expected"`
	New      *string  `json:"new"`
	Result   *string  `json:"result"`
	Done     *bool    `json:"done"`
	Call     float64  `json:"call"`
	Return   *float64 `json:"return"`
}

// value is a text, or absent.
type value struct {
	there bool
	text  string
}

func of(text *string) value {
	if text == nil {
		return value{}
	}
	return value{true, *text}
}

func step(state, input, _ any) (bool, any) {
	held, op := state.(value), input.(*operation)
	switch op.Op {
	case "read":
		return held == of(op.Result), held
	case "write":
		return true, of(op.New)
	}
	happens := held == of(op.Expected)
	if op.Done != nil && *op.Done != happens {
		return false, held
	}
	if happens {
		return true, of(op.New)
	}
	return true, held
}

func byKey(history []porcupine.Operation) [][]porcupine.Operation {
	keys := map[string][]porcupine.Operation{}
	for _, one := range history {
		key := one.Input.(*operation).Key
		keys[key] = append(keys[key], one)
	}
	parts := [][]porcupine.Operation{}
	for _, part := range keys {
		parts = append(parts, part)
	}
	return parts
}

func nanoseconds(seconds float64) int64 { return int64(math.Round(seconds * 1e9)) }

func main() {
	model := porcupine.Model{Partition: byKey, Init: func() any { return value{} }, Step: step}
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	decoder := json.NewDecoder(lines)
	for decoder.More() {
		var read []operation
		if err := decoder.Decode(&read); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		history := make([]porcupine.Operation, len(read))
		for i := range read {
			end := int64(math.MaxInt64)
			if read[i].Return != nil {
				end = nanoseconds(*read[i].Return)
			}
			history[i] = porcupine.Operation{Input: &read[i], Call: nanoseconds(read[i].Call), Return: end}
		}
		begin := time.Now()
		answer := porcupine.CheckOperationsTimeout(model, history, 60*time.Second)
		fmt.Println(answer, time.Since(begin).Seconds())
	}
}
