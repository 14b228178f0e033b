using Microsoft.ML.OnnxRuntime;

namespace OrtCpr;

/// <summary>Model outputs of one batch, in host memory. Owns them. Not thread-safe.</summary>
public class Prediction : IDisposable
{
    private readonly string[] _names;
    private readonly IDisposableReadOnlyCollection<OrtValue> _results;

    internal Prediction(string[] names, IDisposableReadOnlyCollection<OrtValue> results)
    {
        _names = names;
        _results = results;
    }

    /// <summary>An output that was asked for; valid until this is disposed.</summary>
    /// <exception cref="DriverException">It was not asked for.</exception>
    public OrtValue this[string output] => Array.IndexOf(_names, output) is int i and >= 0 ? _results[i]
        : throw new DriverException($"Output '{output}' was not asked for; name it in the call. Asked for: {string.Join(", ", _names)}.");

    /// <inheritdoc/>
    public void Dispose()
    {
        _results.Dispose();
        GC.SuppressFinalize(this);
    }
}

/// <summary>Loss and outputs of one evaluated batch. Owns the outputs. Not thread-safe.</summary>
public sealed class Evaluation : Prediction
{
    internal Evaluation(string[] names, IDisposableReadOnlyCollection<OrtValue> results, double loss, IReadOnlyList<double> figures)
        : base(names, results) => (Loss, LossFigures) = (loss, figures);

    /// <summary>The loss of the batch, the sum of its terms times their factors; NaN or infinite where the model's outputs are.</summary>
    public double Loss { get; }

    /// <summary>The values of the loss's terms, then what each divides by; empty where the plan does not tell.</summary>
    internal IReadOnlyList<double> LossFigures { get; }
}
