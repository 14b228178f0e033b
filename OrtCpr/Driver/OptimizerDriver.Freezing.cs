using OrtCpr.Graph;
using OrtCpr.Graph.Parameters;

namespace OrtCpr;

public sealed partial class OptimizerDriver
{
    private readonly bool[] _present;
    private readonly SortedSet<string> _frozen = new(StringComparer.Ordinal);

    /// <summary>Names of the parameters that are frozen at the moment, sorted.</summary>
    public IReadOnlyCollection<string> Frozen => _frozen;

    /// <summary>Marks which parameters have a gradient in the next steps; all have at the start. One without keeps its
    /// value and all of its state.</summary>
    /// <param name="parameter">Name of a trained parameter.</param>
    /// <param name="present">False for one whose gradient is to be left out.</param>
    /// <exception cref="DriverException">There is no such parameter.</exception>
    public void SetGradientPresent(string parameter, bool present)
    {
        if (!_indices.TryGetValue(parameter, out int index)) throw NoParameter(parameter);
        _present[index] = present;
        UpdatePresence(index);
    }

    /// <summary>Freezes parameters: until <see cref="Unfreeze"/> they keep value, moments, step count, λ and κ, and do
    /// not count in the gradient norm.</summary>
    /// <param name="patterns">Names: exact, with * and ?, or <c>regex:…</c>.</param>
    /// <returns>Number of parameters that became frozen.</returns>
    /// <exception cref="DriverException">A pattern fits no parameter.</exception>
    public int Freeze(params IReadOnlyList<NamePattern> patterns) => Matching(patterns).Count(n => Mark(n, _frozen.Add(n)));

    /// <summary>Undoes <see cref="Freeze"/>; training goes on from the state of then.</summary>
    /// <param name="patterns">Names: exact, with * and ?, or <c>regex:…</c>.</param>
    /// <returns>Number of parameters that are trained again.</returns>
    /// <exception cref="DriverException">A pattern fits no parameter.</exception>
    public int Unfreeze(params IReadOnlyList<NamePattern> patterns) => Matching(patterns).Count(n => Mark(n, _frozen.Remove(n)));

    /// <summary>Replaces the set of frozen parameters; names that are no parameters are left out.</summary>
    internal void SetFrozen(IEnumerable<string> names)
    {
        _frozen.Clear();
        _frozen.UnionWith(names.Where(_indices.ContainsKey));
        for (int i = 0; i < _present.Length; i++) UpdatePresence(i);
    }

    private List<string> Matching(IReadOnlyList<NamePattern> patterns)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        string[] idle = [.. patterns.Where(p => !Plan.Trained.Any(q => p.Matches(q.Name))).Select(p => $"'{p}'")];
        if (idle.Length > 0)
        {
            if (Plan.Parameters.All.FirstOrDefault(p => !p.Trained && patterns.Any(q => q.Matches(p.Name))) is ParameterInfo fixedOne
                && IsNotTrained(fixedOne.Name) is DriverException reason)
            {
                throw reason;
            }
            throw new DriverException(
                $"{string.Join(", ", idle)} fit no trained parameter. Parameters: "
                + $"{string.Join(", ", Plan.Trained.Take(20).Select(p => p.Name))}{(Plan.Trained.Count > 20 ? ", …" : "")}.");
        }
        return [.. Plan.Trained.Select(p => p.Name).Where(n => patterns.Any(p => p.Matches(n)))];
    }

    private bool Mark(string name, bool changed)
    {
        UpdatePresence(_indices[name]);
        return changed;
    }

    private void UpdatePresence(int index)
    {
        if (Plan.Find(TensorRole.GradientPresent) is not TensorSlot slot) return;
        _store.SetInput(slot.Key, index, _present[index] && !_frozen.Contains(Plan.Trained[index].Name));
    }
}
