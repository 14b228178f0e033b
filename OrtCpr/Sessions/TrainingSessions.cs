using OrtCpr.Graph;
using OrtCpr.Graph.Building;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Sessions;

/// <summary>The sessions that train: those of the whole graphs, and those that leave out the gradients of parameters that are frozen. Owns
/// them all. Of the second kind a few are kept, for jobs that freeze parts in turns.</summary>
internal sealed class TrainingSessions : IDisposable
{
    private const int Capacity = 4;

    private readonly TrainingPlan _plan;
    private readonly Func<OnnxModel, string, PlanGraph, BatchSessions> _make;
    private readonly Variant _whole = new("", new HashSet<string>());
    private readonly LinkedList<Variant> _partial = new();

    /// <summary>Makes the session of the whole training graph, so that a graph that does not run is refused early. <c>make</c>: graph,
    /// name and kind to sessions.</summary>
    public TrainingSessions(TrainingPlan plan, Func<OnnxModel, string, PlanGraph, BatchSessions> make)
    {
        _plan = plan;
        _make = make;
        Current = _whole;
        Of(_whole, PlanGraph.Training);
    }

    private Variant Current { get; set; }

    /// <summary>All that there are, for reports.</summary>
    public IEnumerable<BatchSessions> All => new[] { _whole }.Concat(_partial)
        .SelectMany(v => v.Sessions.Values).OfType<BatchSessions>();

    /// <summary>From now on the gradients of these parameters need not be computed.</summary>
    public void LeaveOut(IReadOnlyCollection<string> frozen)
    {
        if (frozen.Count == 0)
        {
            Current = _whole;
            return;
        }
        string key = string.Join('\n', frozen);
        if (_partial.FirstOrDefault(v => v.Key == key) is Variant known)
        {
            _partial.Remove(known);
            _partial.AddFirst(known);
            Current = known;
            return;
        }
        if (_partial.Count == Capacity)
        {
            _partial.Last!.Value.Dispose();
            _partial.RemoveLast();
        }
        Current = _partial.AddFirst(new Variant(key, frozen.ToHashSet(StringComparer.Ordinal))).Value;
    }

    /// <summary>The sessions for the next batch.</summary>
    /// <param name="accumulates">Whether gradients add to those in the buffers.</param>
    public BatchSessions Next(bool accumulates)
    {
        PlanGraph kind = accumulates ? PlanGraph.Accumulation : PlanGraph.Training;
        return Of(Current, kind) ?? Of(_whole, kind)!;
    }

    public void Dispose()
    {
        foreach (Variant variant in _partial) variant.Dispose();
        _partial.Clear();
        _whole.Dispose();
    }

    /// <summary>Made when first needed; null where so little would be left out that the whole graph's sessions serve.</summary>
    private BatchSessions? Of(Variant variant, PlanGraph kind)
    {
        if (variant.Sessions.TryGetValue(kind, out BatchSessions? made)) return made;
        OnnxModel? graph = variant != _whole ? PartialGraph.Of(_plan, kind, variant.Frozen)
            : kind == PlanGraph.Training ? _plan.Training : _plan.Accumulation;
        string name = kind.ToString().ToLowerInvariant();
        made = graph is null ? null : _make(graph, variant == _whole ? name : $"{name}_partial", kind);
        variant.Sessions.Add(kind, made);
        return made;
    }

    private sealed class Variant(string key, IReadOnlySet<string> frozen) : IDisposable
    {
        public string Key => key;

        public IReadOnlySet<string> Frozen => frozen;

        public Dictionary<PlanGraph, BatchSessions?> Sessions { get; } = [];

        public void Dispose()
        {
            foreach (BatchSessions? sessions in Sessions.Values) sessions?.Dispose();
        }
    }
}
