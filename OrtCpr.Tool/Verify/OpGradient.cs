using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;

namespace OrtCpr.Tool.Verify;

// Kind op-gradient: a vector-Jacobian product of a small model, through GradientModel.
internal static class OpGradient
{
    public static void Run(CaseData data, TensorCheck check, DriverOptions options)
    {
        string[] outputs = [.. data.Names("output/")], cotangents = [.. data.Names("cotangent/")], gradients = [.. data.Names("gradient/")];
        GradientModel model = GradientModel.Build(data.ModelPath, cotangents, gradients);
        byte[] bytes = model.ToBytes();
        if (options.KeepGraphs is not null)
        {
            Directory.CreateDirectory(options.KeepGraphs);
            File.WriteAllBytes(Path.Combine(options.KeepGraphs, "gradient.onnx"), bytes);
        }
        using var sessionOptions = new SessionOptions { IntraOpNumThreads = options.Threads, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
        using var session = new InferenceSession(bytes, sessionOptions);
        using var batch = new Batch();
        foreach (string input in data.Names("input/")) batch.Add(input, data.Tensor($"input/{input}"));
        foreach (string cotangent in cotangents) batch.Add(GradientModel.CotangentOf(cotangent), data.Tensor($"cotangent/{cotangent}"));
        string[] names = [.. session.InputNames];
        string[] wanted = [.. outputs, .. gradients.Select(GradientModel.GradientOf)];
        using var run = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(run, names,
            [.. names.Select(n => batch.Tensors.TryGetValue(n, out OrtValue? v) ? v : throw new CaseException($"the file has no value for input '{n}'"))], wanted);
        double rtol = data.Number("rtol"), atol = data.Number("atol");
        string[] stored = [.. outputs.Select(o => $"output/{o}"), .. gradients.Select(g => $"gradient/{g}")];
        for (int i = 0; i < stored.Length; i++)
        {
            OrtTensorTypeAndShapeInfo info = results[i].GetTensorTypeAndShape();
            var actual = TensorData.Create((ElementType)(int)info.ElementDataType, info.Shape, results[i].GetTensorMutableRawData().ToArray());
            check.Near(stored[i], actual, data.Tensor(stored[i]), atol, rtol);
        }
    }
}
