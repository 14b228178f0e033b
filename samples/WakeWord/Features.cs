using Microsoft.ML.OnnxRuntime;

namespace WakeWord;

// Sounds as frames of 96 numbers, by a model that a plain session runs: logarithms of mel bands, a frame every 80 ms.
internal sealed class Features : IDisposable
{
    public const int Bands = 96, Step = 1280;

    private const int Frame = 2048;
    private readonly InferenceSession _session = new(Path.Combine(AppContext.BaseDirectory, "logmel.onnx"));
    private readonly RunOptions _options = new();

    // Samples that make so many frames.
    public static int SamplesOf(int frames) => Frame + ((frames - 1) * Step);

    // [frames, 96], row by row.
    public float[] Of(float[] samples)
    {
        using OrtValue audio = OrtValue.CreateTensorValueFromMemory(samples, [1, samples.Length]);
        using IDisposableReadOnlyCollection<OrtValue> results = _session.Run(_options, ["audio"], [audio], ["features"]);
        return results[0].GetTensorDataAsSpan<float>().ToArray();
    }

    public void Dispose()
    {
        _session.Dispose();
        _options.Dispose();
    }
}
