using System.Runtime.CompilerServices;

namespace OrtCpr;

/// <summary>Where batches come from, epoch by epoch: what <see cref="Trainer"/> fits and evaluates on.</summary>
/// <remarks><see cref="Data.DataLoader"/> is one; <c>From</c> makes one of any enumeration. Whoever takes a batch disposes it.</remarks>
public abstract class BatchSource
{
    /// <summary>Batches of an epoch where that is known before they are made; null where it is not.</summary>
    public virtual long? BatchesPerEpoch => null;

    /// <summary>What a position in an epoch counts, whatever the number of ranks: batches, or examples where the source knows
    /// them.</summary>
    internal virtual string Unit => "batches";

    /// <summary>Units that all ranks together take with a batch each.</summary>
    internal virtual long UnitsPerBatch => 1;

    /// <summary>The batches of an epoch from a unit on, which need not be the first of a batch.</summary>
    internal virtual IEnumerable<Batch> BatchesFrom(long epoch, long unit) => Batches(epoch, unit);

    /// <summary>One rank's part of the source: ranks take different batches of the same order, and all take equally many. A rank for
    /// which nothing is left at the end of an epoch gets padding; where all ranks have to take part in a batch, what is not enough for all
    /// is left out.</summary>
    internal virtual BatchSource Share(int rank, int ranks, bool needsAll = false) =>
        ranks == 1 ? this : new RankShare(this, rank, ranks, needsAll);

    /// <summary>The batches of an epoch.</summary>
    /// <param name="epoch">The epoch, counted from 0.</param>
    /// <param name="skip">How many to leave out at the front: those that a resumed run has trained on.</param>
    public abstract IEnumerable<Batch> Batches(long epoch = 0, long skip = 0);

    /// <summary>The batches of an epoch, waited for without holding a thread where the source can do that.</summary>
    /// <param name="epoch">The epoch, counted from 0.</param>
    /// <param name="skip">How many to leave out at the front: those that a resumed run has trained on.</param>
    /// <param name="cancellation">Ends the enumeration.</param>
    public virtual IAsyncEnumerable<Batch> BatchesAsync(long epoch = 0, long skip = 0, CancellationToken cancellation = default) =>
        Batches(epoch, skip).ToAsyncEnumerable();

    /// <summary>A source of batches that are enumerated anew each epoch.</summary>
    /// <param name="batches">Makes its batches while it is enumerated: each is disposed after its use.</param>
    public static BatchSource From(IEnumerable<Batch> batches)
    {
        ArgumentNullException.ThrowIfNull(batches);
        return From(_ => batches);
    }

    /// <summary>A source that asks for the batches of each epoch.</summary>
    /// <param name="epochs">The batches of an epoch, counted from 0.</param>
    public static BatchSource From(Func<long, IEnumerable<Batch>> epochs)
    {
        ArgumentNullException.ThrowIfNull(epochs);
        return From((epoch, skip) => After(epochs(epoch), skip));
    }

    /// <summary>A source that asks for the batches of each epoch, from any of them on.</summary>
    /// <param name="epochs">The batches of an epoch, counted from 0, without the first few: those that a resumed run
    /// has trained on.</param>
    public static BatchSource From(Func<long, long, IEnumerable<Batch>> epochs)
    {
        ArgumentNullException.ThrowIfNull(epochs);
        return new Made(epochs, null);
    }

    /// <summary>A source of batches that come asynchronously and are enumerated anew each epoch.</summary>
    /// <param name="batches">Makes its batches while it is enumerated: each is disposed after its use.</param>
    public static BatchSource From(IAsyncEnumerable<Batch> batches)
    {
        ArgumentNullException.ThrowIfNull(batches);
        return From(_ => batches);
    }

    /// <summary>A source that asks for the batches of each epoch, which come asynchronously.</summary>
    /// <param name="epochs">The batches of an epoch, counted from 0.</param>
    public static BatchSource From(Func<long, IAsyncEnumerable<Batch>> epochs)
    {
        ArgumentNullException.ThrowIfNull(epochs);
        return From((epoch, skip) => After(epochs(epoch), skip));
    }

    /// <summary>A source that asks for the batches of each epoch, which come asynchronously, from any of them on.</summary>
    /// <param name="epochs">The batches of an epoch, counted from 0, without the first few: those that a resumed run
    /// has trained on.</param>
    public static BatchSource From(Func<long, long, IAsyncEnumerable<Batch>> epochs)
    {
        ArgumentNullException.ThrowIfNull(epochs);
        return new Made(null, epochs);
    }

    /// <summary>The same batches, and the number of them that an epoch has: with it the length of a run is known.</summary>
    /// <param name="count">Batches of an epoch, at least 1.</param>
    public BatchSource WithBatchesPerEpoch(long count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        return new Counted(this, count);
    }

    /// <summary>A source that knows no positions makes the first few batches as well; they are thrown away.</summary>
    private static IEnumerable<Batch> After(IEnumerable<Batch> batches, long skip)
    {
        foreach (Batch batch in batches)
        {
            if (skip-- <= 0) yield return batch;
            else batch.Dispose();
        }
    }

    private static async IAsyncEnumerable<Batch> After(IAsyncEnumerable<Batch> batches, long skip,
        [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        await foreach (Batch batch in batches.WithCancellation(cancellation).ConfigureAwait(false))
        {
            if (skip-- <= 0) yield return batch;
            else batch.Dispose();
        }
    }

    /// <summary>A source of one of the two kinds, which is the other one as well.</summary>
    private sealed class Made(Func<long, long, IEnumerable<Batch>>? epochs, Func<long, long, IAsyncEnumerable<Batch>>? asyncEpochs)
        : BatchSource
    {
        public override IEnumerable<Batch> Batches(long epoch = 0, long skip = 0) =>
            epochs?.Invoke(epoch, skip) ?? asyncEpochs!(epoch, skip).ToBlockingEnumerable();

        public override IAsyncEnumerable<Batch> BatchesAsync(long epoch = 0, long skip = 0, CancellationToken cancellation = default) =>
            asyncEpochs?.Invoke(epoch, skip) ?? base.BatchesAsync(epoch, skip, cancellation);
    }
    private sealed class Counted(BatchSource source, long count) : BatchSource
    {
        public override long? BatchesPerEpoch => count;

        public override IEnumerable<Batch> Batches(long epoch = 0, long skip = 0) => source.Batches(epoch, skip);

        public override IAsyncEnumerable<Batch> BatchesAsync(long epoch = 0, long skip = 0, CancellationToken cancellation = default) =>
            source.BatchesAsync(epoch, skip, cancellation);
    }
}
