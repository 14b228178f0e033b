using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using OrtCpr.Graph;

namespace OrtCpr.Data;

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
    private readonly int _rank, _ranks = 1;
    private readonly bool _needsAll;

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
        if (_options.Workers < 0) problems.Add($"{nameof(DataLoaderOptions.Workers)} is {_options.Workers}; expected at least 0");
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
        foreach (Slot slot in _slots.Where(s => s.InSource is Transform first && !source.CanApply(s.Index, first)))
        {
            throw new OptionException($"{nameof(DataLoaderOptions.Transforms)} of column '{slot.Column.Name}' has "
                + $"{slot.InSource!.GetType().Name}, which the source applies while it reads; {source.GetType().Name} does not.");
        }
        BatchColumn[] inBatches = [.. _slots.Select(s => s.InBatch)];
        foreach (BatchTransform transform in _options.BatchTransforms) transform.Check(inBatches);
        _constants = [.. inputs.Where(i => _options.Constants.ContainsKey(i.Name))
            .Select(i => new ConstantInput(i, _options.Constants, ExampleAxis.Of(i, inputs)))];
        if (source.Count > int.MaxValue)
        {
            throw new DataFileException(
                $"The source has {source.Count} examples; a loader takes {int.MaxValue} at most. Use a larger stride, or parts.");
        }
        if (BatchCount == 0) throw new DataFileException($"The source has {source.Count} examples, no batch of {_options.BatchSize}.");
    }

    /// <summary>The part of one rank.</summary>
    private DataLoader(DataLoader whole, int rank, int ranks, bool needsAll)
    {
        (_source, _options, _slots, _constants) = (whole._source, whole._options, whole._slots, whole._constants);
        (_rank, _ranks, _needsAll) = (rank, ranks, needsAll);
        if (BatchCount == 0)
        {
            throw new DataFileException($"The source has {_source.Count} examples, no batch of {_options.BatchSize} for each of {ranks} "
                + "ranks.");
        }
    }

    /// <summary>Batches of an epoch.</summary>
    public long BatchCount
    {
        get
        {
            long left = _source.Count % UnitsPerBatch;
            return (_source.Count / UnitsPerBatch) + (left > 0 && IsBatch(left) ? 1 : 0);
        }
    }

    internal override string Unit => "examples";

    internal override long UnitsPerBatch => (long)_options.BatchSize * _ranks;

    internal override BatchSource Share(int rank, int ranks, bool needsAll = false) =>
        ranks == 1 ? this : new DataLoader(this, rank, ranks, needsAll);

    /// <inheritdoc/>
    public override long? BatchesPerEpoch => BatchCount;

    /// <summary>The batches of an epoch.</summary>
    /// <param name="epoch">Decides the order and what is random.</param>
    /// <param name="skip">How many to leave out at the front.</param>
    /// <returns>Batches to be disposed by whoever takes them; their memory is used again then.</returns>
    public override IEnumerable<Batch> Batches(long epoch = 0, long skip = 0) => BatchesFrom(epoch, skip * UnitsPerBatch);

    internal override IEnumerable<Batch> BatchesFrom(long epoch, long unit)
    {
        IEnumerable<Batch> batches = Made(epoch, unit);
        return _options.Prefetch == 0 ? batches : Data.Prefetch.Ahead(batches, _options.Prefetch);
    }

    /// <summary>The batches of an epoch, waited for without holding a thread.</summary>
    /// <param name="epoch">Decides the order and what is random.</param>
    /// <param name="skip">How many to leave out in front.</param>
    /// <param name="cancellation">Ends the enumeration.</param>
    public override IAsyncEnumerable<Batch> BatchesAsync(long epoch = 0, long skip = 0, CancellationToken cancellation = default) =>
        Data.Prefetch.AheadAsync(Made(epoch, skip * UnitsPerBatch), Math.Max(1, _options.Prefetch), cancellation);

    /// <summary>Of each batch of all ranks together a rank has a part; of one that is not full the parts differ by an example at
    /// most.</summary>
    private IEnumerable<Batch> Made(long epoch, long first)
    {
        int count = (int)_source.Count;
        IReadOnlyList<int>? order = _options.Order is not null ? Checked(_options.Order(epoch), epoch)
            : _options.Shuffle ? Shuffled(count, epoch) : null;
        int[]? turns = _options.Order is null || !IsRandom ? null : Turns(order!);
        for (long at = first; at < count && IsBatch(Math.Min(UnitsPerBatch, count - at)); at += UnitsPerBatch)
        {
            int all = (int)Math.Min(UnitsPerBatch, count - at), rows = all / _ranks, more = all % _ranks;
            int start = (int)at + (_rank * rows) + Math.Min(_rank, more);
            if (_rank < more) rows++;
            yield return rows == 0 ? new Batch { IsPadding = true } : Make(order, turns, start, rows, epoch);
        }
    }

    /// <summary>Whether so many examples are trained on.</summary>
    private bool IsBatch(long examples) => _options.DropLast ? examples == UnitsPerBatch : !_needsAll || examples >= _ranks;

    private bool IsRandom => _slots.Any(s => s.Transforms.Length > 0);

    /// <summary>For each place of an order how often its example came before, so that what comes twice in an epoch is changed in two
    /// ways.</summary>
    private static int[] Turns(IReadOnlyList<int> order)
    {
        int[] turns = new int[order.Count], seen = new int[order.Count];
        for (int i = 0; i < turns.Length; i++) turns[i] = seen[order[i]]++;
        return turns;
    }

    private int[] Shuffled(int count, long epoch)
    {
        SplitMix64 random = SplitMix64.For(_options.Seed, epoch);
        int[] order = random.Permutation(count);
        return _options.SimilarLengths == 0 ? order
            : LengthOrder.Of(order, (int)UnitsPerBatch, _options.SimilarLengths, row => _source.LengthOf(row), random);
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

    private Batch Make(IReadOnlyList<int>? order, int[]? turns, int start, int rows, long epoch)
    {
        byte[][] buffers = _spare.TryTake(out byte[][]? used) ? used
            : [.. _slots.Select(s =>
                GC.AllocateUninitializedArray<byte>(Math.Max(1, checked(s.TargetSize * _options.BatchSize)), pinned: true))];
        long length = LengthOf(order, start, rows);
        Slot[] cut = [.. _slots.Select(s => s.Cut(length))];
        try
        {
            ReadExamples(order, turns, start, rows, epoch, buffers, cut);
            ChangeTogether(start, rows, epoch, buffers, cut);
        }
        catch
        {
            _spare.Add(buffers);
            throw;
        }
        var batch = new Batch { Released = () => _spare.Add(buffers), Examples = rows };
        for (int i = 0; i < _slots.Length; i++)
            batch.AddPinned(cut[i].Input, cut[i].Type, buffers[i], rows * cut[i].TargetSize, cut[i].Shape(rows));
        foreach (ConstantInput constant in _constants) constant.AddTo(batch, rows);
        return batch;
    }

    /// <summary>Each example is read by one worker; of several errors that of the first example is thrown, as one worker alone
    /// would.</summary>
    private void ReadExamples(IReadOnlyList<int>? order, int[]? turns, int start, int rows, long epoch, byte[][] buffers, Slot[] cut)
    {
        int workers = Math.Min(rows, _options.Workers == 0 ? Environment.ProcessorCount : _options.Workers);
        if (workers <= 1)
        {
            for (int r = 0; r < rows; r++) ReadExample(r);
            return;
        }
        var errors = new ConcurrentDictionary<int, Exception>();
        Parallel.For(0, rows, new ParallelOptions { MaxDegreeOfParallelism = workers }, (r, state) =>
        {
            try
            {
                ReadExample(r);
            }
#pragma warning disable CA1031 // Every error reaches the consumer, from this thread instead of from the worker.
            catch (Exception error)
#pragma warning restore CA1031
            {
                errors[r] = error;
                state.Break();
            }
        });
        if (!errors.IsEmpty) ExceptionDispatchInfo.Throw(errors[errors.Keys.Min()]);

        void ReadExample(int r)
        {
            long row = order is null ? start + r : order[start + r];
            // The first time an example comes its numbers are those of seed, epoch and example; later times have others.
            long turn = turns is null ? 0 : turns[start + r];
            long seed = _options.Seed ^ unchecked(0x5851F42D4C957F2D ^ (turn * 0x1B873593CC9E2D51));
            for (int i = 0; i < _slots.Length; i++)
            {
                var random = SplitMix64.For(seed, unchecked((epoch * _source.Count) + row));
                Read(_slots[i], cut[i], row, random, buffers[i], r, rows);
            }
        }
    }

    private void Read(Slot slot, Slot cut, long row, SplitMix64 random, byte[] buffer, int r, int rows)
    {
        bool isCut = !ReferenceEquals(slot, cut);
        byte[] scratch = slot.IsCopied ? [] : System.Buffers.ArrayPool<byte>.Shared.Rent(slot.Column.Size + 1);
        byte[] whole = isCut ? System.Buffers.ArrayPool<byte>.Shared.Rent(slot.TargetSize) : [];
        byte[] example = cut.Parts == 1 ? [] : new byte[cut.TargetSize];
        Span<byte> target = cut.Parts == 1 ? buffer.AsSpan(r * cut.TargetSize, cut.TargetSize) : example;
        Span<byte> read = isCut ? whole.AsSpan(0, slot.TargetSize) : target;
        if (slot.IsCopied) _source.Read(slot.Index, row, read);
        else Convert(slot, row, random, scratch, read);
        if (isCut) ExampleAxis.Cut(read, slot.Dimensions, slot.OpenAxis!.Value, cut.Dimensions[slot.OpenAxis.Value], target);
        if (cut.Parts > 1) ExampleAxis.Write(target, buffer, cut.Parts, r, rows);
        if (!slot.IsCopied) System.Buffers.ArrayPool<byte>.Shared.Return(scratch);
        if (isCut) System.Buffers.ArrayPool<byte>.Shared.Return(whole);
    }

    private void ChangeTogether(int start, int rows, long epoch, byte[][] buffers, Slot[] cut)
    {
        if (_options.BatchTransforms.Length == 0) return;
        var random = SplitMix64.For(_options.Seed ^ 0x2545F4914F6CDD1D, unchecked((epoch * _source.Count) + start));
        var data = new BatchData([.. cut.Select(s => s.InBatch)], buffers, rows);
        foreach (BatchTransform transform in _options.BatchTransforms) transform.Apply(data, random);
    }

    /// <summary>What padded columns are cut to: at least 1, since an empty tensor is nothing that a model computes.</summary>
    private long LengthOf(IReadOnlyList<int>? order, int start, int rows)
    {
        if (_slots.All(s => s.OpenAxis is null)) return long.MaxValue;
        long longest = 1;
        for (int r = 0; r < rows; r++) longest = Math.Max(longest, _source.LengthOf(order is null ? start + r : order[start + r]));
        return (longest + _options.LengthMultiple - 1) / _options.LengthMultiple * _options.LengthMultiple;
    }

    private void Convert(Slot slot, long row, SplitMix64 random, byte[] scratch, Span<byte> target)
    {
        Span<byte> bytes = scratch.AsSpan(0, slot.Column.Size);
        if (slot.InSource is Transform inSource) _source.Read(slot.Index, row, inSource, random, bytes);
        else _source.Read(slot.Index, row, bytes);
        if (slot.Classes > 0)
        {
            OneHot(slot, row, bytes, target);
            return;
        }
        ReadOnlySpan<Transform> transforms = slot.Transforms.AsSpan()[(slot.InSource is null ? 0 : 1)..];
        if (transforms.Length == 0)
        {
            Numbers.Convert(bytes, slot.Column.Type, target, slot.Type);
            return;
        }
        Span<float> floats = slot.Type == ElementType.Float ? MemoryMarshal.Cast<byte, float>(target) : new float[slot.Column.Length];
        Numbers.Convert(bytes, slot.Column.Type, MemoryMarshal.AsBytes(floats), ElementType.Float);
        foreach (Transform transform in transforms) transform.Apply(floats, slot.Column.Dimensions, random);
        if (slot.Type != ElementType.Float) Numbers.Convert(MemoryMarshal.AsBytes(floats), ElementType.Float, target, slot.Type);
    }

    /// <summary>Probability 1 for the class of the example and 0 for all others.</summary>
    private static void OneHot(Slot slot, long row, ReadOnlySpan<byte> bytes, Span<byte> target)
    {
        long label = slot.Column.Type == ElementType.Int64 ? MemoryMarshal.Read<long>(bytes) : MemoryMarshal.Read<int>(bytes);
        if ((ulong)label >= (ulong)slot.Classes)
        {
            throw new DataFileException($"Example {row} has label {label} in column {slot.Column}; input '{slot.Input}' takes "
                + $"probabilities of {slot.Classes} classes, so expected 0 to {slot.Classes - 1}. Number the classes from 0.");
        }
        Span<float> floats = slot.Type == ElementType.Float ? MemoryMarshal.Cast<byte, float>(target) : new float[slot.Classes];
        floats.Clear();
        floats[(int)label] = 1;
        if (slot.Type != ElementType.Float) Numbers.Convert(MemoryMarshal.AsBytes(floats), ElementType.Float, target, slot.Type);
    }
}
