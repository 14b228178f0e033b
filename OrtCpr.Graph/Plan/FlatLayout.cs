namespace OrtCpr.Graph;

/// <summary>
/// Where the tensors of a plan lie in flat memory: one allocation for all parameters, one for all gradients, one for each kind of state,
/// every tensor at a multiple of <see cref="Alignment"/> bytes. Parameters that are updated alike lie next to each other.
/// </summary>
internal sealed class FlatLayout
{
    /// <summary>Bytes to which tensors are aligned: what a GPU reads in one transaction, and a multiple of every vector.</summary>
    public const int Alignment = 256;

    private FlatLayout(IReadOnlyList<FlatSegment> segments) => Segments = segments;

    /// <summary>The segments, each below 2 GiB.</summary>
    public IReadOnlyList<FlatSegment> Segments { get; }

    /// <summary>Lays out a plan.</summary>
    public static FlatLayout Of(TrainingPlan plan)
    {
        var segments = new List<FlatSegment>();
        foreach (IGrouping<string, TensorSlot> alike in plan.Slots.Where(s => s.Role == TensorRole.Parameter).GroupBy(s => KeyOf(plan, s)))
            segments.AddRange(Split(alike, KindsOf(plan, alike.First())));
        IEnumerable<TensorSlot> statistics =
            plan.Slots.Where(s => s.Role == TensorRole.Statistic && plan.Find(TensorRole.PendingStatistic, s.Owner) is not null);
        foreach (IGrouping<ElementType, TensorSlot> alike in statistics.GroupBy(s => s.Type))
            segments.AddRange(Split(alike, [(TensorRole.Statistic, ""), (TensorRole.PendingStatistic, "")]));
        return new FlatLayout(segments);
    }

    /// <summary>Parameters of one segment have the same state and the same update operator.</summary>
    private static string KeyOf(TrainingPlan plan, TensorSlot parameter)
    {
        Optimizers.ParameterSpec spec = plan.SpecOf(parameter.Owner!);
        string kinds = string.Join('|', KindsOf(plan, parameter).Select(k => $"{k.Role}:{k.Kind}"));
        return $"{plan.DefinitionOf(spec).Name}|{plan.Optimizer.Groups[spec.Group].Maximize}|{parameter.Type}|{kinds}";
    }

    private static (TensorRole Role, string Kind)[] KindsOf(TrainingPlan plan, TensorSlot parameter) =>
    [
        (TensorRole.Parameter, ""),
        .. plan.OwnedBy(parameter.Owner!)
            .Where(s => s.Role is TensorRole.Gradient or TensorRole.State && s.Dimensions.SequenceEqual(parameter.Dimensions))
            .Select(s => (s.Role, s.Kind)),
    ];

    private static IEnumerable<FlatSegment> Split(IEnumerable<TensorSlot> slots, IReadOnlyList<(TensorRole Role, string Kind)> kinds)
    {
        FlatSegment? open = null;
        foreach (TensorSlot slot in slots)
        {
            if (open is not null && !open.Fits(slot.ElementCount))
            {
                yield return open;
                open = null;
            }
            open ??= new FlatSegment(slot.Type, kinds);
            open.Add(slot.Owner!, slot.ElementCount);
        }
        if (open is not null) yield return open;
    }
}

/// <summary>Parameters, or statistics, that lie next to each other in each of their kinds of tensors, at the same offsets.</summary>
/// <param name="type">Element type.</param>
/// <param name="kinds">The kinds of tensors that each of them has.</param>
internal sealed class FlatSegment(ElementType type, IReadOnlyList<(TensorRole Role, string Kind)> kinds)
{
    private readonly List<string> _owners = [];
    private readonly List<long> _starts = [];
    private readonly List<long> _lengths = [];

    /// <summary>Element type.</summary>
    public ElementType Type { get; } = type;

    /// <summary>The kinds of tensors.</summary>
    public IReadOnlyList<(TensorRole Role, string Kind)> Kinds { get; } = kinds;

    /// <summary>The parameters or statistics, in order.</summary>
    public IReadOnlyList<string> Owners => _owners;

    /// <summary>First element of each.</summary>
    public IReadOnlyList<long> Starts => _starts;

    /// <summary>Elements of each.</summary>
    public IReadOnlyList<long> Lengths => _lengths;

    /// <summary>Elements of the whole, padding included.</summary>
    public long Elements { get; private set; }

    /// <summary>Bytes of an element.</summary>
    public int ElementBytes => Type.BitsPerElement() / 8;

    /// <summary>Whether another tensor leaves the segment below 2 GiB.</summary>
    public bool Fits(long elements) => (Elements + elements) * ElementBytes <= int.MaxValue - FlatLayout.Alignment;

    /// <summary>Puts a tensor after those that are there.</summary>
    public void Add(string owner, long elements)
    {
        long unit = FlatLayout.Alignment / ElementBytes;
        _owners.Add(owner);
        _starts.Add(Elements);
        _lengths.Add(elements);
        Elements += (elements + unit - 1) / unit * unit;
    }
}
