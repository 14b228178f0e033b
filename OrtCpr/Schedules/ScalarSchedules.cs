using OrtCpr.Graph;

namespace OrtCpr.Schedules;

/// <summary>The scalars of each group (learning rate, weight decay …): a base value, and a schedule that multiplies
/// it.</summary>
internal sealed class ScalarSchedules
{
    private readonly Dictionary<string, double[]> _values = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Schedule?[]> _schedules = new(StringComparer.Ordinal);

    public ScalarSchedules(TrainingPlan plan)
    {
        GroupCount = plan.Optimizer.Groups.Length;
        foreach (TensorSlot scalar in plan.Slots.Where(s => s.Role == TensorRole.GroupScalar))
        {
            _values[scalar.Kind] = plan.Optimizer.ScalarOfGroups(scalar.Kind);
            _schedules[scalar.Kind] = new Schedule?[GroupCount];
        }
    }

    public int GroupCount { get; }

    public Dictionary<string, double[]>.KeyCollection Names => _values.Keys;

    public IReadOnlyDictionary<string, double[]> Values => _values;

    public IReadOnlyDictionary<string, Schedule?[]> Schedules => _schedules;

    /// <summary>Steps of a scheduler that the caller advances (SchedulerStep); null when schedules follow the
    /// optimizer's own count.</summary>
    public long StepsAhead { get; set; }

    public double At(string scalar, int group, long step) =>
        _values[scalar][group] * (_schedules[scalar][group]?.Factor(step + StepsAhead) ?? 1);

    public void SetValue(string scalar, int group, double value)
    {
        Check(scalar, group);
        if (!(value >= 0 && double.IsFinite(value)))
        {
            throw new DriverException(FormattableString.Invariant(
                $"Scalar '{scalar}' of group {group} is {value}; expected a finite number of at least 0."));
        }
        _values[scalar][group] = value;
    }

    public void SetSchedule(string scalar, int? group, Schedule? schedule)
    {
        schedule?.Validate();
        Check(scalar, group ?? 0);
        for (int g = group ?? 0; g <= (group ?? GroupCount - 1); g++) _schedules[scalar][g] = schedule;
    }

    public void Report(double metric)
    {
        foreach (Schedule?[] all in _schedules.Values)
        {
            for (int g = 0; g < all.Length; g++) all[g] = all[g]?.Report(metric);
        }
    }

    public void Check(string scalar, int group)
    {
        if (!_values.ContainsKey(scalar))
            throw new DriverException($"The optimizer has no scalar '{scalar}'; it has: {string.Join(", ", _values.Keys)}.");
        if (group < 0 || group >= GroupCount)
            throw new DriverException($"Group {group}; the optimizer has {GroupCount} group(s), expected 0 to {GroupCount - 1}.");
    }
}
