using OrtCpr.Graph.Optimizers;

namespace OrtCpr;

/// <summary>Bounds of a fit that is too short for them: what is told before the first step, and the default ones set by
/// a warm start instead.</summary>
/// <remarks>Where <see cref="OptimizerOptions.TotalSteps"/> names the length the optimizer graph itself has the warm
/// start. A graph that was built without it can't be changed any more; then the state is: a warm start is nothing but κ
/// ← R after a step.</remarks>
internal sealed class ShortRunBounds
{
    private readonly OptimizerDriver _optimizer;
    private long? _at;

    private ShortRunBounds(OptimizerDriver optimizer, long? at, IReadOnlyList<string> warnings) =>
        (_optimizer, _at, Warnings) = (optimizer, at, warnings);

    /// <summary>What to tell before the first step.</summary>
    public IReadOnlyList<string> Warnings { get; }

    /// <summary>The bounds that a fit can't find; null where there is nothing to do.</summary>
    /// <param name="optimizer">The optimizer.</param>
    /// <param name="steps">Steps that the fit has made in earlier sittings.</param>
    /// <param name="total">Steps of the whole fit; null where nobody knows.</param>
    public static ShortRunBounds? Of(OptimizerDriver optimizer, long steps, long? total)
    {
        if (total is not long length || optimizer.GetConstraints().All(c => c.IsSet)) return null;
        // The optimizer counts steps of earlier fits too.
        long before = optimizer.Steps - steps, end = before + length;
        ConstrainNorm[] rules = [.. optimizer.Plan.Optimizer.Groups.Select(g => g.Constraint).OfType<ConstrainNorm>().Distinct()];
        var warnings = new List<string>();
        if (end <= 1) return rules.Length == 0 ? null : new ShortRunBounds(optimizer, null, [ConstrainNorm.ShortRunWarning(end)]);
        long? at = null;
        if (rules.Any(r => r.IsDefaultBound && r.IsShort(end)))
        {
            at = ConstrainNorm.ShortRunStart(end) - before;
            warnings.Add(ConstrainNorm.ShortRunWarning(end));
        }
        warnings.AddRange(rules.Where(r => !r.IsDefaultBound).Select(r => r.Bound.TooShort(end)).OfType<string>()
            .Select(problem => $"No bound will be set in this fit: {problem}"));
        return warnings.Count == 0 ? null : new ShortRunBounds(optimizer, at, warnings);
    }

    /// <summary>Sets the bounds when their step has come.</summary>
    public void After(long step)
    {
        if (_at is not long at || step < at) return;
        _at = null;
        _optimizer.SetMissingBounds(c => c.IsDefaultBound);
    }
}
