using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Schedules;

namespace OrtCpr;

public sealed partial class OptimizerDriver
{
    private readonly ScalarSchedules _scalars;

    internal ScalarSchedules Scalars => _scalars;

    /// <summary>Sets the base learning rate of a group; a schedule multiplies it.</summary>
    /// <param name="rate">At least 0.</param>
    /// <param name="group">Group index.</param>
    /// <exception cref="DriverException">The rate or the group is out of range.</exception>
    public void SetLearningRate(double rate, int group = 0) => _scalars.SetValue(UpdateRule.LearningRateScalar, group, rate);

    /// <summary>The learning rate that the next step uses in a group.</summary>
    /// <param name="group">Group index. Default 0.</param>
    /// <returns>The base rate times the schedule's factor at this step.</returns>
    /// <exception cref="DriverException">There is no such group.</exception>
    public double GetLearningRate(int group = 0) => GetScalar(UpdateRule.LearningRateScalar, group);

    /// <summary>Sets the base value of a scalar of a group, such as <c>weight_decay</c>; a schedule multiplies it.</summary>
    /// <param name="name"><c>learning_rate</c>, <c>weight_decay</c>.</param>
    /// <param name="value">At least 0, finite.</param>
    /// <param name="group">Group index. Default 0.</param>
    /// <exception cref="DriverException">The optimizer has no such scalar or group, or the value is negative or not finite.</exception>
    public void SetScalar(string name, double value, int group = 0) => _scalars.SetValue(name, group, value);

    /// <summary>The value of a scalar that the next step uses in a group.</summary>
    /// <param name="name"><c>learning_rate</c>, <c>weight_decay</c>.</param>
    /// <param name="group">Group index. Default 0.</param>
    /// <returns>The base value times the schedule's factor at this step.</returns>
    /// <exception cref="DriverException">The optimizer has no such scalar or group.</exception>
    public double GetScalar(string name, int group = 0)
    {
        _scalars.Check(name, group);
        return _scalars.At(name, group, Steps);
    }

    /// <summary>Sets the schedule of a scalar in one group, or in all.</summary>
    /// <param name="schedule">The schedule; null for a constant value.</param>
    /// <param name="group">Group index; null for all groups.</param>
    /// <param name="scalar">The learning rate by default; <c>weight_decay</c> or another scheduled input.</param>
    /// <exception cref="OptionException">The schedule has options out of range.</exception>
    /// <exception cref="DriverException">There is no such scalar or group.</exception>
    public void SetSchedule(Schedule? schedule, int? group = null, string scalar = UpdateRule.LearningRateScalar)
    {
        _scalars.SetSchedule(scalar, group, schedule);
        _scalars.StepsAhead = 0;
    }

    /// <summary>Tells all schedules a metric; those that wait for a plateau learn from it.</summary>
    /// <param name="metric">A validation loss, say.</param>
    public void ReportMetric(double metric) => _scalars.Report(metric);

}
