package client

import (
	"context"
	"iter"
)

// Pages asks for one page after the other. more puts the mark of the next page
// from an answer into the question, and tells whether there is one.
//
// The paginators of the SDK do the same for a client as an interface. This
// takes a method: as an interface, a client brings all of its methods into the
// program, which for EC2 are 20 MB.
func Pages[In, Out, Options any](ctx context.Context, ask func(context.Context, *In, ...func(*Options)) (*Out, error), in *In, more func(*In, *Out) bool, how ...func(*Options)) iter.Seq2[*Out, error] {
	return func(yield func(*Out, error) bool) {
		for {
			out, err := ask(ctx, in, how...)
			if !yield(out, err) || err != nil || !more(in, out) {
				return
			}
		}
	}
}

// Next puts the mark of the next page into a question, and tells whether there
// is one.
func Next(question **string, mark *string) bool {
	*question = mark
	return mark != nil && *mark != ""
}
