using System.CommandLine;
using System.Text.Json;
using OrtCpr.Export;

namespace OrtCpr.Tool;

// `ortcpr import-weights MODEL --from FILE --out NEW`: the weights of a PyTorch state dict in an exported model.
internal static class ImportWeightsCommand
{
    public static Command Create()
    {
        Argument<string> model = new("MODEL") { Description = "An ONNX file." };
        Option<string> from = new("--from") { Description = "A safetensors file with the state dict.", Required = true };
        Option<string> target = new("--out") { Description = "The new ONNX file.", Required = true };
        Option<string?> map =
            new("--map")
            {
                Description = "A JSON file that gives initializers their tensors by name: { \"onnx::MatMul_12\": \"fc.weight\" "
                    + "}."
            };
        Command command = new("import-weights",
            "Writes a copy of a model with the weights of a state dict.\n\nExample:\n  ortcpr import-weights model.onnx --from "
            + "model.safetensors --out trained.onnx") { model, from, target, map };
        command.SetAction(r =>
        {
            foreach (ImportedWeight weight in WeightImport.Import(r.GetValue(model)!, r.GetValue(from)!, r.GetValue(target)!,
                Read(r.GetValue(map))))
            {
                Console.WriteLine($"{weight.Initializer} ← {weight.Source}{(weight.Transposed ? ", transposed" : "")} (by {weight.How})");
            }

            return 0;
        });
        return command;
    }

    private static Dictionary<string, string>? Read(string? path)
    {
        if (path is null) return null;
        try
        {
            return JsonSerializer.Deserialize<Dictionary<string, string>>(File.ReadAllText(path));
        }
        catch (Exception error) when (error is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new ToolException($"--map '{path}': {error.Message} Expected a JSON object of names, such as {{ \"onnx::MatMul_12\": "
                + $"\"fc.weight\" }}.");
        }
    }
}
