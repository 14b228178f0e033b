namespace OrtCpr;

/// <summary>One rank's batches of a source that knows no examples: of each round of batches there is one for each rank.</summary>
/// <param name="source">Gives all ranks the same batches in the same order.</param>
/// <param name="rank">Whose batches.</param>
/// <param name="ranks">Batches of a round.</param>
/// <param name="needsAll">Whether a round that is not full is left out.</param>
internal sealed class RankShare(BatchSource source, int rank, int ranks, bool needsAll) : BatchSource
{
    /// <inheritdoc/>
    public override long? BatchesPerEpoch => (source.BatchesPerEpoch + (needsAll ? 0 : ranks - 1)) / ranks;

    internal override long UnitsPerBatch => ranks;

    /// <inheritdoc/>
    public override IEnumerable<Batch> Batches(long epoch = 0, long skip = 0) => BatchesFrom(epoch, skip * ranks);

    internal override IEnumerable<Batch> BatchesFrom(long epoch, long unit)
    {
        Batch? own = null;
        int place = 0;
        try
        {
            foreach (Batch batch in source.Batches(epoch, unit))
            {
                // Of a round that has begun every rank makes a step.
                if (place == rank) own = batch;
                else batch.Dispose();
                if (++place < ranks) continue;
                place = 0;
                Batch whole = own!;
                own = null;
                yield return whole;
            }
            if (place == 0 || needsAll) yield break;
            Batch last = own ?? new Batch { IsPadding = true };
            own = null;
            yield return last;
        }
        finally
        {
            own?.Dispose();
        }
    }
}
