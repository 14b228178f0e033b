using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using OrtCpr.Buffers;
using OrtCpr.Graph;

namespace OrtCpr.Collectives;

/// <summary>The outer steps of ranks that make steps of their own in between. Keeps the point from which they set out and the outer
/// momentum, on the host. Owns views of the parameters.</summary>
/// <remarks>d = mean over ranks of (point − parameter); momentum ← β·momentum + d; point ← point − η·(d + β·momentum); parameter ←
/// point (SGD with Nesterov momentum as PyTorch has it).</remarks>
internal sealed class OuterExchange : IDisposable
{
    private readonly Ranks _ranks;
    private readonly TensorStore _store;
    private readonly TrainingPlan _plan;
    private readonly OuterOptimizer _options;
    private TensorExchange? _parameters;
    private StatisticExchange[] _statistics = [];
    private float[][] _points = [], _momenta = [];
    private long _steps;

    /// <param name="ranks">Stay the caller's.</param>
    /// <param name="store">Has the parameters; stays the caller's.</param>
    /// <param name="plan">Its table.</param>
    /// <param name="options">Interval, rate and momentum.</param>
    public OuterExchange(Ranks ranks, TensorStore store, TrainingPlan plan, OuterOptimizer options) =>
        (_ranks, _store, _plan, _options) = (ranks, store, plan, options);

    /// <summary>Whether ranks make steps of their own.</summary>
    public bool IsLocal => _parameters is not null;

    /// <summary>After an optimizer step.</summary>
    /// <param name="steps">Optimizer steps so far.</param>
    /// <param name="areBoundsSet">Whether every bound is set.</param>
    /// <returns>Whether the parameters of all ranks are equal now.</returns>
    public bool AfterStep(long steps, Func<bool> areBoundsSet)
    {
        if (!IsLocal)
        {
            if (steps >= _options.SynchronousSteps && areBoundsSet()) SetOut();
            return true;
        }
        if (++_steps < _options.Interval) return false;
        Run();
        return true;
    }

    /// <summary>The outer step, now. Without steps since the last one nothing changes.</summary>
    public void Run()
    {
        if (!IsLocal || _steps == 0) return;
        _steps = 0;
        for (int i = 0; i < _points.Length; i++)
        {
            OrtValue view = _parameters!.Views[i];
            float[] now = MemoryMarshal.Cast<byte, float>(Bytes(view)).ToArray();
            TensorPrimitives.Subtract(_points[i], now, now);
            MeanOverRanks(now);
            TensorPrimitives.MultiplyAdd(_momenta[i], (float)_options.Momentum, now, _momenta[i]);
            // d + β·momentum
            TensorPrimitives.MultiplyAdd(_momenta[i], (float)_options.Momentum, now, now);
            TensorPrimitives.MultiplyAdd(now, -(float)_options.LearningRate, _points[i], _points[i]);
            _store.Device.Write(view, MemoryMarshal.AsBytes(_points[i].AsSpan()));
        }
        foreach (StatisticExchange statistics in _statistics) statistics.Run();
    }

    public void Dispose()
    {
        _parameters?.Dispose();
        _parameters = null;
        foreach (StatisticExchange statistics in _statistics) statistics.Dispose();
        _statistics = [];
    }

    private void SetOut()
    {
        _parameters = new TensorExchange(_store, _plan, TensorRole.Parameter, [.. _plan.Trained.Select(p => p.Name)], isLaidOutAlike: true);
        _points = [.. _parameters.Views.Select(v => MemoryMarshal.Cast<byte, float>(Bytes(v)).ToArray())];
        _momenta = [.. _points.Select(p => new float[p.Length])];
        _statistics = [.. new[] { TensorRole.Statistic, TensorRole.PendingStatistic }
            .Select(r => new StatisticExchange(_ranks, _store, _plan, r))];
    }

    private ReadOnlySpan<byte> Bytes(OrtValue view) =>
        _store.Device.IsHost ? view.GetTensorMutableRawData() : _store.Device.Read(view).Bytes.Span;

    private void MeanOverRanks(float[] values)
    {
        if (_options.ExchangeType == ElementType.Float)
        {
            _ranks.SumOnHost(MemoryMarshal.AsBytes(values.AsSpan()), values.Length, ElementType.Float);
        }
        else
        {
            TensorData sent = TensorData.From<float>(values, values.Length).ConvertTo(_options.ExchangeType);
            byte[] bytes = sent.Bytes.ToArray();
            _ranks.SumOnHost(bytes, values.Length, _options.ExchangeType);
            TensorData.Create(_options.ExchangeType, [values.Length], bytes).ConvertTo(ElementType.Float).AsSpan<float>().CopyTo(values);
        }
        TensorPrimitives.Multiply(values, 1f / _ranks.Size, values);
    }
}
