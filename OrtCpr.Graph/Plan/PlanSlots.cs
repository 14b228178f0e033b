namespace OrtCpr.Graph;

/// <summary>The table of a training job while the graphs are written: gives each tensor a free key and collects where
/// graphs use it.</summary>
internal sealed class PlanSlots
{
    private readonly List<TensorSlot> _slots = [];
    private readonly HashSet<string> _keys;
    private readonly Dictionary<(TensorRole, string?, string), int> _positions = [];

    /// <param name="names">Names of the user's own tensors, which keep them as their keys.</param>
    public PlanSlots(IEnumerable<string> names) => _keys = new(names, StringComparer.Ordinal);

    /// <summary>All slots so far.</summary>
    public IReadOnlyList<TensorSlot> All => _slots;

    /// <summary>A key that no tensor has: the wanted one, or that with the first free number. Depends on names alone,
    /// not on their order.</summary>
    public static string FreeKey(string wanted, IReadOnlySet<string> taken)
    {
        string key = wanted;
        for (int n = 2; taken.Contains(key); n++) key = $"{wanted}#{n}";
        return key;
    }

    /// <summary>Adds a tensor of the user's, under its own name.</summary>
    public TensorSlot AddOwn(TensorRole role, string name, ElementType type, IReadOnlyList<long> dimensions,
        params IReadOnlyList<TensorUse> uses) =>
        Add(new TensorSlot(name, role, name, type, dimensions) { Uses = uses });

    /// <summary>Adds a tensor of ours; its key is the wanted one where that is free.</summary>
    public TensorSlot Add(TensorSlot wanted)
    {
        if (wanted.Key != wanted.Owner || wanted.Role is not (TensorRole.Parameter or TensorRole.Statistic))
        {
            string key = FreeKey(wanted.Key, _keys);
            _keys.Add(key);
            wanted = wanted with { Key = key };
        }
        _positions[(wanted.Role, wanted.Owner, wanted.Kind)] = _slots.Count;
        _slots.Add(wanted);
        return wanted;
    }

    /// <summary>Notes that a graph uses a tensor.</summary>
    public void Use(TensorRole role, string? owner, TensorUse use, string kind = "")
    {
        int at = _positions[(role, owner, kind)];
        _slots[at] = _slots[at] with { Uses = [.. _slots[at].Uses, use] };
    }

    /// <summary>Gives a tensor its value before the first step.</summary>
    public void Start(TensorRole role, string? owner, TensorData initial)
    {
        if (_positions.TryGetValue((role, owner, ""), out int at)) _slots[at] = _slots[at] with { Initial = initial };
    }
}
