using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>How a loader makes batches of a source.</summary>
public sealed record DataLoaderOptions
{
    /// <summary>Examples a batch, at least 1. Default 32.</summary>
    public int BatchSize { get; init; } = 32;

    /// <summary>Whether each epoch has an order of its own. Default on.</summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>The examples of an epoch, counted from 0, in order, in place of a shuffle: a curriculum, say, or an
    /// order that was recorded. As many as the source has; one may come more than once. Null (default) for <see
    /// cref="Shuffle"/>'s order.</summary>
    public Func<long, IReadOnlyList<int>>? Order { get; init; }

    /// <summary>Seed of shuffles and transforms. Default 0.</summary>
    public long Seed { get; init; }

    /// <summary>Whether a last batch that is not full is left out. Default off.</summary>
    public bool DropLast { get; init; }

    /// <summary>Batches that are made ahead, in the background; 0 makes each when it is asked for. Default 2.</summary>
    public int Prefetch { get; init; } = 2;

    /// <summary>Padded columns are cut to a multiple of this, or to their whole size; 8 suits devices that compute in tiles.
    /// At least 1. Default 1: the longest example of the batch.</summary>
    public int LengthMultiple { get; init; } = 1;

    /// <summary>So many batches of a shuffled order are taken together and their examples dealt out by length, so that those
    /// of a batch are about equally long and little of it is padding; which batch comes when stays random. Depends on seed
    /// and epoch alone. 0 (default) for none; 50 is a good number.</summary>
    public int SimilarLengths { get; init; }

    /// <summary>Source columns by the input that takes them, where names differ and it is not plain which belong together.</summary>
    public ImmutableDictionary<string, string> Columns { get; init; } = ImmutableDictionary.Create<string, string>(StringComparer.Ordinal);

    /// <summary>Inputs that are the same for every batch, and no column of the source: a sampling rate, say. A value with a
    /// size of 1 where the input has its batch is repeated for each example.</summary>
    public ImmutableDictionary<string, TensorData> Constants { get; init; } =
        ImmutableDictionary.Create<string, TensorData>(StringComparer.Ordinal);

    /// <summary>What is done, in order, to each example of a source column, by the column's name.</summary>
    public ImmutableDictionary<string, ImmutableArray<Transform>> Transforms { get; init; } =
        ImmutableDictionary.Create<string, ImmutableArray<Transform>>(StringComparer.Ordinal);
}

/// <summary>Batches of a source for a model's inputs, in an order that depends on seed and epoch only, from any batch
/// of an epoch on.</summary>
/// <remarks>A column goes to the input of its name; then a label column to the only label that is left, and the only
/// other column to the only other input. Element types are converted, and an example takes the input's shape where it
/// has the same number of elements. Examples go to the axis on which the input has its batch, where that is not the
/// first. <c>new Trainer(driver).Fit(loader)</c> trains, and goes on inside an epoch after a
/// resumption without making the earlier batches. Does not own the source. Several enumerations may run at
/// once.</remarks>
public sealed class DataLoader : BatchSource
{
    private readonly DataSource _source;
    private readonly DataLoaderOptions _options;
    private readonly Slot[] _slots;
    private readonly ConstantInput[] _constants;
    private readonly ConcurrentBag<byte[][]> _spare = [];

    /// <summary>A loader.</summary>
    /// <param name="source">Stays the caller's.</param>
    /// <param name="inputs">What a batch must hold, as a rule <see cref="TrainingPlan.BatchInputs"/>.</param>
    /// <param name="options">Null for the defaults.</param>
    /// <exception cref="OptionException">An option is out of range.</exception>
    /// <exception cref="DataFileException">The source's columns do not fit the inputs; all misfits are named.</exception>
    public DataLoader(DataSource source, IReadOnlyList<BatchInput> inputs, DataLoaderOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(inputs);
        _source = source;
        _options = options ?? new DataLoaderOptions();
        var problems = new List<string>();
        if (_options.BatchSize < 1) problems.Add($"{nameof(DataLoaderOptions.BatchSize)} is {_options.BatchSize}; expected at least 1");
        if (_options.Prefetch < 0) problems.Add($"{nameof(DataLoaderOptions.Prefetch)} is {_options.Prefetch}; expected at least 0");
        if (_options.LengthMultiple < 1)
            problems.Add($"{nameof(DataLoaderOptions.LengthMultiple)} is {_options.LengthMultiple}; expected at least 1");
        if (_options.SimilarLengths < 0)
        {
            problems.Add($"{nameof(DataLoaderOptions.SimilarLengths)} is {_options.SimilarLengths}; expected at least 0");
        }
        else if (_options.SimilarLengths > 0 && (_options.Order is not null || !_options.Shuffle))
        {
            problems.Add($"{nameof(DataLoaderOptions.SimilarLengths)} changes a shuffled order; it does not go with "
                + $"{nameof(DataLoaderOptions.Order)}, nor without {nameof(DataLoaderOptions.Shuffle)}");
        }
        foreach (string column in _options.Transforms.Keys.Where(k => source.Columns.All(c => c.Name != k)))
        {
            problems.Add(
                $"{nameof(DataLoaderOptions.Transforms)} names the column '{column}'; there are {string.Join(", ", source.Columns)}");
        }
        foreach (string name in _options.Constants.Keys.Where(k => inputs.All(i => i.Name != k)))
        {
            problems.Add($"{nameof(DataLoaderOptions.Constants)} names the input '{name}'; there are {string.Join(", ", inputs)}");
        }
        OptionException.ThrowIfAny("The loader has options out of range", problems);
        _slots = SlotTable.Match(source.Columns, inputs, _options);
        _constants = [.. inputs.Where(i => _options.Constants.ContainsKey(i.Name))
            .Select(i => new ConstantInput(i, _options.Constants, ExampleAxis.Of(i, inputs)))];
        if (source.Count > int.MaxValue)
        {
            throw new DataFileException(
                $"The source has {source.Count} examples; a loader takes {int.MaxValue} at most. Use a larger stride, or parts.");
        }
        if (BatchCount == 0) throw new DataFileException($"The source has {source.Count} examples, no batch of {_options.BatchSize}.");
    }

    /// <summary>Batches of an epoch.</summary>
    public long BatchCount =>
        _options.DropLast ? _source.Count / _options.BatchSize : (_source.Count + _options.BatchSize - 1) / _options.BatchSize;

    /// <inheritdoc/>
    public override long? BatchesPerEpoch => BatchCount;

    /// <summary>The batches of an epoch.</summary>
    /// <param name="epoch">Decides the order and what is random.</param>
    /// <param name="skip">How many to leave out at the front.</param>
    /// <returns>Batches to be disposed by whoever takes them; their memory is used again then.</returns>
    public override IEnumerable<Batch> Batches(long epoch = 0, long skip = 0)
    {
        IEnumerable<Batch> batches = Made(epoch, skip);
        return _options.Prefetch == 0 ? batches : Data.Prefetch.Ahead(batches, _options.Prefetch);
    }

    /// <summary>The batches of an epoch, waited for without holding a thread.</summary>
    /// <param name="epoch">Decides the order and what is random.</param>
    /// <param name="skip">How many to leave out in front.</param>
    /// <param name="cancellation">Ends the enumeration.</param>
    public override IAsyncEnumerable<Batch> BatchesAsync(long epoch = 0, long skip = 0, CancellationToken cancellation = default) =>
        Data.Prefetch.AheadAsync(Made(epoch, skip), Math.Max(1, _options.Prefetch), cancellation);

    private IEnumerable<Batch> Made(long epoch, long skip)
    {
        int count = (int)_source.Count;
        IReadOnlyList<int>? order = _options.Order is not null ? Checked(_options.Order(epoch), epoch)
            : _options.Shuffle ? Shuffled(count, epoch) : null;
        for (long b = skip; b < BatchCount; b++)
        {
            int start = (int)(b * _options.BatchSize), rows = Math.Min(_options.BatchSize, count - start);
            yield return Make(order, start, rows, epoch);
        }
    }

    private int[] Shuffled(int count, long epoch)
    {
        SplitMix64 random = SplitMix64.For(_options.Seed, epoch);
        int[] order = random.Permutation(count);
        return _options.SimilarLengths == 0 ? order
            : LengthOrder.Of(order, _options.BatchSize, _options.SimilarLengths, row => _source.LengthOf(row), random);
    }

    private IReadOnlyList<int> Checked(IReadOnlyList<int> order, long epoch)
    {
        if (order.Count != _source.Count)
        {
            throw new DataFileException(
                $"{nameof(DataLoaderOptions.Order)} of epoch {epoch} has {order.Count} examples; "
                + $"expected {_source.Count}, as the source has.");
        }
        foreach (int row in order)
        {
            if (row < 0 || row >= _source.Count)
            {
                throw new DataFileException(
                    $"{nameof(DataLoaderOptions.Order)} of epoch {epoch} names example {row}; expected 0 to {_source.Count - 1}.");
            }
        }
        return order;
    }

    private Batch Make(IReadOnlyList<int>? order, int start, int rows, long epoch)
    {
        byte[][] buffers = _spare.TryTake(out byte[][]? used) ? used
            : [.. _slots.Select(s =>
                GC.AllocateUninitializedArray<byte>(Math.Max(1, checked(s.TargetSize * _options.BatchSize)), pinned: true))];
        var batch = new Batch { Released = () => _spare.Add(buffers), Examples = rows };
        long length = LengthOf(order, start, rows);
        for (int i = 0; i < _slots.Length; i++)
        {
            Slot slot = _slots[i], cut = slot.Cut(length);
            bool isCut = !ReferenceEquals(slot, cut);
            byte[] scratch = slot.IsCopied ? [] : System.Buffers.ArrayPool<byte>.Shared.Rent(slot.Column.Size + 1);
            byte[] whole = isCut ? System.Buffers.ArrayPool<byte>.Shared.Rent(slot.TargetSize) : [];
            byte[] example = cut.Parts == 1 ? [] : new byte[cut.TargetSize];
            for (int r = 0; r < rows; r++)
            {
                long row = order is null ? start + r : order[start + r];
                Span<byte> target = cut.Parts == 1 ? buffers[i].AsSpan(r * cut.TargetSize, cut.TargetSize) : example;
                Span<byte> read = isCut ? whole.AsSpan(0, slot.TargetSize) : target;
                if (slot.IsCopied) _source.Read(slot.Index, row, read);
                else Convert(slot, row, epoch, scratch, read);
                if (isCut) ExampleAxis.Cut(read, slot.Dimensions, slot.OpenAxis!.Value, length, target);
                if (cut.Parts > 1) ExampleAxis.Write(target, buffers[i], cut.Parts, r, rows);
            }
            if (!slot.IsCopied) System.Buffers.ArrayPool<byte>.Shared.Return(scratch);
            if (isCut) System.Buffers.ArrayPool<byte>.Shared.Return(whole);
            batch.AddPinned(slot.Input, slot.Type, buffers[i], rows * cut.TargetSize, cut.Shape(rows));
        }
        foreach (ConstantInput constant in _constants) constant.AddTo(batch, rows);
        return batch;
    }

    // What padded columns are cut to: at least 1, since an empty tensor is nothing that a model computes.
    private long LengthOf(IReadOnlyList<int>? order, int start, int rows)
    {
        if (_slots.All(s => s.OpenAxis is null)) return long.MaxValue;
        long longest = 1;
        for (int r = 0; r < rows; r++) longest = Math.Max(longest, _source.LengthOf(order is null ? start + r : order[start + r]));
        return (longest + _options.LengthMultiple - 1) / _options.LengthMultiple * _options.LengthMultiple;
    }

    private void Convert(Slot slot, long row, long epoch, byte[] scratch, Span<byte> target)
    {
        Span<byte> bytes = scratch.AsSpan(0, slot.Column.Size);
        _source.Read(slot.Index, row, bytes);
        if (slot.Transforms.Length == 0)
        {
            Numbers.Convert(bytes, slot.Column.Type, target, slot.Type);
            return;
        }
        Span<float> floats = slot.Type == ElementType.Float ? MemoryMarshal.Cast<byte, float>(target) : new float[slot.Column.Length];
        Numbers.Convert(bytes, slot.Column.Type, MemoryMarshal.AsBytes(floats), ElementType.Float);
        SplitMix64 random = SplitMix64.For(_options.Seed ^ unchecked((long)0x5851F42D4C957F2D), unchecked((epoch * _source.Count) + row));
        foreach (Transform transform in slot.Transforms) transform.Apply(floats, slot.Column.Dimensions, random);
        if (slot.Type != ElementType.Float) Numbers.Convert(MemoryMarshal.AsBytes(floats), ElementType.Float, target, slot.Type);
    }
}
