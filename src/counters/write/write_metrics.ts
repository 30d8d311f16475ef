/** Metrics of what a write server accepts and refuses. */

import type { Metric, Metrics } from "../../base/metrics.ts";
import type { BatchIntake } from "./batch_intake.ts";
import type { MessageFiller } from "./message_filler.ts";

export class WriteMetrics {
  readonly accepted: Metric;
  readonly refused: Metric;
  readonly batchesTaken: Metric;
  readonly batchesRefused: Metric;

  constructor(readonly metrics: Metrics, readonly filler: MessageFiller) {
    this.accepted = metrics.counter("countd_increments_total", "accepted");
    this.refused = metrics.counter("countd_increments_total", "refused");
    this.batchesTaken = metrics.counter("countd_batches_total", "taken");
    this.batchesRefused = metrics.counter("countd_batches_total", "refused");
  }

  count(accepted: number, refused: number): void {
    this.accepted.value += accepted;
    if (refused === 0) return;
    this.refused.value += refused;
    const { emptyKeyspace, keyspaceAfterNul, keyAfterNul, tooManyKeyspaces } = this.filler.refusals;
    this.metrics.counter("countd_rejected_total", "empty-keyspace").value = emptyKeyspace;
    this.metrics.counter("countd_rejected_total", "keyspace-after-nul").value = keyspaceAfterNul;
    this.metrics.counter("countd_rejected_total", "key-after-nul").value = keyAfterNul;
    this.metrics.counter("countd_rejected_total", "too-many-keyspaces").value = tooManyKeyspaces;
  }

  countBatches({ taken, takenRecords, refused, refusedRecords }: BatchIntake["counts"]): void {
    this.batchesTaken.value += taken;
    this.accepted.value += takenRecords;
    if (refused === 0) return;
    this.batchesRefused.value += refused;
    this.refused.value += refusedRecords;
    this.metrics.counter("countd_rejected_total", "refused-batch").value += refusedRecords;
  }

  /** Counts a message whose end never came. */
  refusePartial(): void {
    this.refused.value += 1;
    this.metrics.counter("countd_rejected_total", "partial-message").value += 1;
  }
}
