using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace Service;

// The service's instruments in the text format of Prometheus, collected in the process; a service with OpenTelemetry needs none of this.
internal sealed class MetricsPage : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<(string Name, string Labels), Series> _series = new();

    public MetricsPage()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == ServiceMetrics.MeterName) listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Of(instrument, tags).Add(value));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) =>
        {
            Series series = Of(instrument, tags);
            if (instrument is Histogram<double>) series.Record(value);
            else series.Set(value);
        });
        _listener.Start();
    }

    public string Write()
    {
        _listener.RecordObservableInstruments();
        var text = new StringBuilder();
        foreach (((string name, string labels), Series series) in _series.OrderBy(s => s.Key.Name, StringComparer.Ordinal)
            .ThenBy(s => s.Key.Labels, StringComparer.Ordinal))
        {
            series.WriteTo(text, name, labels);
        }
        return text.ToString();
    }

    public void Dispose() => _listener.Dispose();

    private Series Of(Instrument instrument, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        string labels = string.Join(',', tags.ToArray().Select(t => $"{t.Key}=\"{t.Value}\""));
        return _series.GetOrAdd((instrument.Name.Replace('.', '_'), labels), _ => new Series(instrument is Histogram<double>));
    }

    private sealed class Series(bool isHistogram)
    {
        private readonly Lock _lock = new();
        private readonly long[] _buckets = new long[ServiceMetrics.Buckets.Length];
        private double _value;
        private long _count;

        public void Add(long value)
        {
            lock (_lock) _value += value;
        }

        public void Set(double value)
        {
            lock (_lock) _value = value;
        }

        public void Record(double value)
        {
            lock (_lock)
            {
                _value += value;
                _count++;
                for (int i = 0; i < _buckets.Length; i++) _buckets[i] += value <= ServiceMetrics.Buckets[i] ? 1 : 0;
            }
        }

        public void WriteTo(StringBuilder text, string name, string labels)
        {
            lock (_lock)
            {
                if (!isHistogram)
                {
                    Line(name, labels, _value);
                    return;
                }
                string more = labels.Length > 0 ? labels + "," : "";
                for (int i = 0; i < _buckets.Length; i++)
                {
                    string bound = ServiceMetrics.Buckets[i].ToString(CultureInfo.InvariantCulture);
                    Line(name + "_bucket", $"{more}le=\"{bound}\"", _buckets[i]);
                }
                Line(name + "_bucket", more + "le=\"+Inf\"", _count);
                Line(name + "_sum", labels, _value);
                Line(name + "_count", labels, _count);
            }

            void Line(string metric, string tags, double value) => text.Append(metric).Append(tags.Length > 0 ? $"{{{tags}}}" : "")
                .Append(CultureInfo.InvariantCulture, $" {(double.IsNaN(value) ? "NaN" : value)}\n");
        }
    }
}
