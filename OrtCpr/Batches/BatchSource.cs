using System.Runtime.CompilerServices;

namespace OrtCpr;

/// <summary>Where batches come from, epoch by epoch: what <see cref="Trainer"/> fits and evaluates on.</summary>
/// <remarks><see cref="Data.DataLoader"/> is one; <c>From</c> makes one of any enumeration. Whoever takes a batch disposes it.</remarks>
public abstract class BatchSource
{
    /// <summary>Batches of an epoch where that is known before they are made; null where it is not.</summary>
    public virtual long? BatchesPerEpoch => null;

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
    /// <param name="batchesPerEpoch">Their number where it is known.</param>
    public static BatchSource From(IEnumerable<Batch> batches, long? batchesPerEpoch = null)
    {
        ArgumentNullException.ThrowIfNull(batches);
        return From(_ => batches, batchesPerEpoch);
    }

    /// <summary>A source that asks for the batches of each epoch.</summary>
    /// <param name="epochs">The batches of an epoch, counted from 0.</param>
    /// <param name="batchesPerEpoch">Their number where it is known.</param>
    public static BatchSource From(Func<long, IEnumerable<Batch>> epochs, long? batchesPerEpoch = null)
    {
        ArgumentNullException.ThrowIfNull(epochs);
        return From((epoch, skip) => After(epochs(epoch), skip), batchesPerEpoch);
    }

    /// <summary>A source that asks for the batches of each epoch, from any of them on.</summary>
    /// <param name="epochs">The batches of an epoch, counted from 0, without the first few: those that a resumed run
    /// has trained on.</param>
    /// <param name="batchesPerEpoch">Their number where it is known.</param>
    public static BatchSource From(Func<long, long, IEnumerable<Batch>> epochs, long? batchesPerEpoch = null)
    {
        ArgumentNullException.ThrowIfNull(epochs);
        return new Made(epochs, null, batchesPerEpoch);
    }

    /// <summary>A source of batches that come asynchronously and are enumerated anew each epoch.</summary>
    /// <param name="batches">Makes its batches while it is enumerated: each is disposed after its use.</param>
    /// <param name="batchesPerEpoch">Their number where it is known.</param>
    public static BatchSource From(IAsyncEnumerable<Batch> batches, long? batchesPerEpoch = null)
    {
        ArgumentNullException.ThrowIfNull(batches);
        return From(_ => batches, batchesPerEpoch);
    }

    /// <summary>A source that asks for the batches of each epoch, which come asynchronously.</summary>
    /// <param name="epochs">The batches of an epoch, counted from 0.</param>
    /// <param name="batchesPerEpoch">Their number where it is known.</param>
    public static BatchSource From(Func<long, IAsyncEnumerable<Batch>> epochs, long? batchesPerEpoch = null)
    {
        ArgumentNullException.ThrowIfNull(epochs);
        return From((epoch, skip) => After(epochs(epoch), skip), batchesPerEpoch);
    }

    /// <summary>A source that asks for the batches of each epoch, which come asynchronously, from any of them on.</summary>
    /// <param name="epochs">The batches of an epoch, counted from 0, without the first few: those that a resumed run
    /// has trained on.</param>
    /// <param name="batchesPerEpoch">Their number where it is known.</param>
    public static BatchSource From(Func<long, long, IAsyncEnumerable<Batch>> epochs, long? batchesPerEpoch = null)
    {
        ArgumentNullException.ThrowIfNull(epochs);
        return new Made(null, epochs, batchesPerEpoch);
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
    private sealed class Made(Func<long, long, IEnumerable<Batch>>? epochs, Func<long, long, IAsyncEnumerable<Batch>>? asyncEpochs,
        long? count)
        : BatchSource
    {
        public override long? BatchesPerEpoch => count;

        public override IEnumerable<Batch> Batches(long epoch = 0, long skip = 0) =>
            epochs?.Invoke(epoch, skip) ?? asyncEpochs!(epoch, skip).ToBlockingEnumerable();

        public override IAsyncEnumerable<Batch> BatchesAsync(long epoch = 0, long skip = 0, CancellationToken cancellation = default) =>
            asyncEpochs?.Invoke(epoch, skip) ?? base.BatchesAsync(epoch, skip, cancellation);
    }
}
