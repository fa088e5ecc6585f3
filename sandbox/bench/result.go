//go:build unix

package bench

// report turns the samples into medians, ratios and targets.
func (r *run) report(idleBytes float64) *Report {
	report := newReport(r.o, r.server.Binaries().Version)
	for _, name := range r.names {
		s := r.samples[name]
		report.Measurements = append(report.Measurements, Measurement{
			Name: name, PerS: median(s.rates), P50S: median(s.p50), P99S: median(s.p99), P999S: median(s.p999),
			HostCPU: median(s.host), GeneratorCPU: median(s.generator), PostgresCPU: median(s.postgres),
			WALBytes: median(s.wal), Fsyncs: median(s.fsyncs), Allocations: median(s.allocations), Rounds: s.rates,
		})
	}
	tpcb := report.find(nameTPCB).PerS
	for i := range report.Measurements {
		if m := &report.Measurements[i]; tpcb > 0 {
			m.ToTPCB = m.PerS / tpcb
		}
	}
	sales, one, half := report.find(nameSales(256)), report.find(nameSales(1)), report.find(nameOpen)
	report.target("approved sales over TCP, 256 connections ÷ TPC-B", sales.ToTPCB, atLeast, 3)
	report.target("approved UnionPay sales over TCP, 256 connections ÷ TPC-B", report.find(nameUnionPay(256)).ToTPCB, atLeast, 3)
	report.target("host CPU per sale, µs", sales.HostCPU*1e3, atMost, 40)
	report.target("WAL bytes per sale", sales.WALBytes, atMost, 600)
	report.target("ledger path in process ÷ TPC-B", report.find(namePath).ToTPCB, atLeast, 5)
	report.target("the mix ÷ TPC-B", report.find(nameMix(256)).ToTPCB, atLeast, 2.5)
	report.target("one connection ÷ one approval per transaction", ratio(one.PerS, report.find(nameOne1).PerS), atLeast, 0.7)
	report.target("p99 at half load ÷ median commit of one row", half.P99S*report.find(nameOneRow).PerS, atMost, 15)
	report.target("memory per idle connection, KiB", idleBytes/1024, atMost, 16)
	return report
}

// ratio is 0 where one of the two was not measured.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
