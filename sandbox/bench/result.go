//go:build unix

package bench

import "slices"

// report turns the samples into medians, ratios and targets.
func (r *run) report(idleBytes float64) *Report {
	report := newReport(r.o, r.server.Binaries().Version)
	tpcb := median(r.samples[nameTPCB].rates)
	for _, name := range r.names {
		s := r.samples[name]
		m := Measurement{
			Name: name, PerS: median(s.rates), P50S: median(s.p50), P99S: median(s.p99), P999S: median(s.p999),
			HostCPU: median(s.host), GeneratorCPU: median(s.generator), PostgresCPU: median(s.postgres),
			WALBytes: median(s.wal), Fsyncs: median(s.fsyncs), Allocations: median(s.allocations), Rounds: s.rates,
		}
		m.ToTPCB = m.PerS / tpcb
		report.Measurements = append(report.Measurements, m)
	}
	if slices.Contains(r.o.Connections, 256) {
		sales := report.find(nameSales(256))
		report.target("approved sales over TCP, 256 connections ÷ TPC-B", sales.ToTPCB, true, 3)
		report.target("host CPU per sale, µs", sales.HostCPU*1e3, false, 40)
		report.target("WAL bytes per sale", sales.WALBytes, false, 600)
	}
	report.target("ledger path in process ÷ TPC-B", report.find(namePath).ToTPCB, true, 5)
	report.target("the mix ÷ TPC-B", report.find(nameMix).ToTPCB, true, 2.5)
	if slices.Contains(r.o.Connections, 1) {
		report.target("one connection ÷ one approval per transaction", report.find(nameSales(1)).PerS/report.find(nameOne1).PerS, true, 0.7)
	}
	report.target("p99 at half load ÷ median commit of one row", report.find(nameOpen).P99S*report.find(nameOneRow).PerS, false, 15)
	report.target("memory per idle connection, KiB", idleBytes/1024, false, 16)
	return report
}
