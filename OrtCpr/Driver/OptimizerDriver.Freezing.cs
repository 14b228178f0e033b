using OrtCpr.Graph;
using OrtCpr.Graph.Parameters;

namespace OrtCpr;

public sealed partial class OptimizerDriver
{
    private readonly bool[] _present;
    private readonly SortedSet<string> _frozen = new(StringComparer.Ordinal);
    private readonly HashSet<string> _held = new(StringComparer.Ordinal);
    private bool _isHeld = true;

    /// <summary>Names of the parameters that are frozen at the moment, sorted.</summary>
    public IReadOnlyCollection<string> Frozen => _frozen;

    /// <summary>Marks which parameters have a gradient in the next steps; all have at the start. One without keeps its
    /// value and all of its state.</summary>
    /// <param name="parameter">Name of a trained parameter.</param>
    /// <param name="present">False for one whose gradient is to be left out.</param>
    /// <exception cref="DriverException">There is no such parameter, or the optimizer steps all parameters together.</exception>
    public void SetGradientPresent(string parameter, bool present)
    {
        if (!_indices.TryGetValue(parameter, out int index)) throw NoParameter(parameter);
        RefuseWholeSteps();
        _present[index] = present;
        UpdatePresence(index);
    }

    /// <summary>Freezes parameters: until <see cref="Unfreeze"/> they keep value, moments, step count, λ and κ, and do
    /// not count in the gradient norm.</summary>
    /// <remarks>Their gradients are not computed either: where that leaves out a tenth of the training graph or more, the next TrainStep
    /// makes a session without that part. A parameter that is unfrozen between a TrainStep and its OptimizerStep is trained from the
    /// step after that.</remarks>
    /// <param name="patterns">Names: exact, with * and ?, or <c>regex:…</c>.</param>
    /// <returns>Number of parameters that became frozen.</returns>
    /// <exception cref="DriverException">A pattern fits no parameter, or the optimizer steps all parameters together.</exception>
    public int Freeze(params IReadOnlyList<NamePattern> patterns) => Matching(patterns).Count(n => Mark(n, _frozen.Add(n)));

    /// <summary>Undoes <see cref="Freeze"/>; training goes on from the state of then.</summary>
    /// <param name="patterns">Names: exact, with * and ?, or <c>regex:…</c>.</param>
    /// <returns>Number of parameters that are trained again.</returns>
    /// <exception cref="DriverException">A pattern fits no parameter.</exception>
    public int Unfreeze(params IReadOnlyList<NamePattern> patterns) => Matching(patterns).Count(n => Mark(n, _frozen.Remove(n)));

    /// <summary>For a step that begins: those that are frozen now have no gradient in it, whatever is unfrozen on the way.</summary>
    /// <returns>Whether others were frozen in the step before.</returns>
    internal bool HoldFrozen()
    {
        if (_isHeld) return false;
        _isHeld = true;
        _held.Clear();
        _held.UnionWith(_frozen);
        for (int i = 0; i < _present.Length; i++) UpdatePresence(i);
        return true;
    }

    /// <summary>Replaces the set of frozen parameters; names that are no parameters are left out.</summary>
    internal void SetFrozen(IEnumerable<string> names)
    {
        _isHeld = false;
        _held.Clear();
        _frozen.Clear();
        _frozen.UnionWith(names.Where(_indices.ContainsKey));
        for (int i = 0; i < _present.Length; i++) UpdatePresence(i);
    }

    private List<string> Matching(IReadOnlyList<NamePattern> patterns)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        RefuseWholeSteps();
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

    /// <summary>An optimizer that ONNX Runtime's own tools made has no input that says which gradients there are.</summary>
    private void RefuseWholeSteps()
    {
        if (Plan.Find(TensorRole.GradientPresent) is not null) return;
        throw new DriverException("The optimizer of these artifacts steps all parameters together, so none can be left out. Build the "
            + "artifacts without the parameters that are to keep their values, or swap the optimizer (ortcpr artifacts swap-optimizer).");
    }

    private bool Mark(string name, bool changed)
    {
        _isHeld &= !changed;
        UpdatePresence(_indices[name]);
        return changed;
    }

    private void UpdatePresence(int index)
    {
        if (Plan.Find(TensorRole.GradientPresent) is not TensorSlot slot) return;
        _store.SetInput(slot.Key, index, _present[index] && !_frozen.Contains(Plan.Trained[index].Name)
            && !_held.Contains(Plan.Trained[index].Name));
    }
}
