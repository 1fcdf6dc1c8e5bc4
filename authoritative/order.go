package main

import (
	"fmt"
	"strings"

	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/zone"
)

func (z *Zone) validateOrder(report *config.Report) {
	if z.Order != "" {
		if _, err := zone.ParseOrder(z.Order); err != nil {
			report.Add("order", "%v", err)
		}
	}
	if z.Most < 0 || z.Most >= zone.AllAnswers {
		report.Add("max_answers", "%d; 0 for all, or a number up to %d", z.Most, zone.AllAnswers-1)
	}
}

// putInOrder has the table put the zone's addresses in the order of the config.
func (z *Zone) putInOrder(table *zone.Table, apex []byte) error {
	order := zone.Unsaid
	if z.Order != "" {
		var err error
		if order, err = zone.ParseOrder(z.Order); err != nil {
			return err
		}
	}
	return table.Update(func(tx *zone.Tx) error { return tx.SetOrder(apex, order, uint16(z.Most)) })
}

// orderError says what is wrong with an ORDER record, which the error that came of it
// does not.
func orderError(typ string, data []string, err error) error {
	if !strings.EqualFold(typ, "ORDER") {
		return err
	}
	for _, text := range data {
		if _, wrong := zone.ParseOrdering(text); wrong != nil {
			return fmt.Errorf("make record: %w", wrong)
		}
	}
	return err
}
