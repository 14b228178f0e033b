using System.Diagnostics.Metrics;

namespace Service;

// What dotnet-counters, OpenTelemetry and /metrics see, under the meter's name.
internal sealed class ServiceMetrics : IDisposable
{
    public const string MeterName = "OrtCpr.Samples.Service";

    // Upper bounds of a latency's buckets, in seconds.
    public static readonly double[] Buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

    private readonly Meter _meter;
    private readonly Counter<long> _requests, _steps, _swaps, _examples;
    private readonly Histogram<double> _duration;
    private double _loss = double.NaN;
    private long _stepCount, _swapCount, _requestCount;

    public ServiceMetrics(IMeterFactory factory)
    {
        _meter = factory.Create(MeterName);
        _requests = _meter.CreateCounter<long>("service.requests", "{request}", "Requests answered, by route and status.");
        _duration = _meter.CreateHistogram("service.request.duration", "s", "Time from the first byte read to the answer.", null,
            new InstrumentAdvice<double> { HistogramBucketBoundaries = Buckets });
        _steps = _meter.CreateCounter<long>("service.training.steps", "{step}", "Optimizer steps since the start.");
        _swaps = _meter.CreateCounter<long>("service.model.swaps", "{swap}", "Models that replaced another since the start.");
        _examples = _meter.CreateCounter<long>("service.examples", "{example}", "Labelled examples taken since the start.");
        _meter.CreateObservableGauge("service.training.loss", () => Loss, "1", "Loss of the last step.");
    }

    public double Loss => Volatile.Read(ref _loss);

    public long Steps => Interlocked.Read(ref _stepCount);

    public long Swaps => Interlocked.Read(ref _swapCount);

    public long Requests => Interlocked.Read(ref _requestCount);

    public void Answered(string route, int status, TimeSpan time)
    {
        Interlocked.Increment(ref _requestCount);
        KeyValuePair<string, object?> where = new("route", route);
        _requests.Add(1, where, new("status", status));
        _duration.Record(time.TotalSeconds, where);
    }

    public void Stepped(double loss)
    {
        Volatile.Write(ref _loss, loss);
        Interlocked.Increment(ref _stepCount);
        _steps.Add(1);
    }

    public void Swapped()
    {
        Interlocked.Increment(ref _swapCount);
        _swaps.Add(1);
    }

    public void Took(int examples) => _examples.Add(examples);

    public void Dispose() => _meter.Dispose();
}
