using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using OrtCpr.Export;
using OrtCpr.Graph.Parameters;

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
                Description = "A JSON file that gives initializers their tensors by name: { \"onnx::MatMul_12\": \"fc.weight\" }. "
                    + "null for one that keeps its numbers; \"ignore\": [\"head.*\"] for tensors that are not for this model."
            };
        Option<string[]> ignore = new("--ignore")
        {
            Description = "Names of tensors of the state dict that are not for this model; * and ? and regex: are understood.",
            AllowMultipleArgumentsPerToken = true
        };
        Option<string[]> missing = new("--allow-missing")
        {
            Description = "Names of the model's tensors that may keep the numbers that they have; without names all.",
            Arity = ArgumentArity.ZeroOrMore,
            AllowMultipleArgumentsPerToken = true
        };
        Command command = new("import-weights",
            "Writes a copy of a model with the weights of a state dict. Every tensor of the dict must find its place, and every tensor "
            + "that training would change its source.\n\nExamples:\n  ortcpr import-weights model.onnx --from "
            + "model.safetensors --out trained.onnx\n  ortcpr import-weights model.onnx --from pretrained.safetensors --ignore \"head.*\" "
            + "--allow-missing \"classifier.*\" --out start.onnx") { model, from, target, map, ignore, missing };
        command.SetAction(r =>
        {
            WeightImportOptions options = Read(r.GetValue(map));
            string[] kept = r.GetResult(missing) is null or { Implicit: true } ? []
                : r.GetValue(missing) is { Length: > 0 } names ? names : ["*"];
            options = options with
            {
                Ignore = [.. options.Ignore, .. (r.GetValue(ignore) ?? []).Select(NamePattern.FromString)],
                AllowMissing = [.. options.AllowMissing, .. kept.Select(NamePattern.FromString)],
            };
            foreach (ImportedWeight weight in WeightImport.Import(r.GetValue(model)!, r.GetValue(from)!, r.GetValue(target)!, options))
            {
                Console.WriteLine($"{weight.Initializer} ← {weight.Source}{(weight.Transposed ? ", transposed" : "")} (by {weight.How})");
            }

            return 0;
        });
        return command;
    }

    private static WeightImportOptions Read(string? path)
    {
        var options = new WeightImportOptions();
        if (path is null) return options;
        try
        {
            foreach ((string name, JsonNode? value) in JsonNode.Parse(File.ReadAllText(path))!.AsObject())
            {
                options = value switch
                {
                    null => options with { AllowMissing = options.AllowMissing.Add(Exactly(name)) },
                    JsonArray list when name == "ignore" => options with
                    { Ignore = [.. options.Ignore, .. list.Select(v => NamePattern.FromString(v!.GetValue<string>()))] },
                    _ => options with { Map = options.Map.SetItem(name, value.GetValue<string>()) },
                };
            }
            return options;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or NullReferenceException or FormatException
            or IOException or UnauthorizedAccessException)
        {
            throw new ToolException($"--map '{path}': {error.Message} Expected a JSON object of names, such as {{ \"onnx::MatMul_12\": "
                + "\"fc.weight\", \"head.bias\": null, \"ignore\": [\"lm_head.*\"] }.");
        }
    }

    // A name of the model is no pattern, whatever signs it has.
    private static NamePattern Exactly(string name) => NamePattern.FromString($"regex:{Regex.Escape(name)}");
}
