using System.CommandLine;

namespace OrtCpr.Tool;

// `ortcpr devices [DEVICE…]`: what this machine offers, and why the rest is not there.
internal static class DevicesCommand
{
    public static Command Create()
    {
        Argument<string[]> more = new("DEVICE")
        {
            Description = "Further devices to try, such as webgpu:PATH with the path of the provider "
                + "plugin.",
            Arity = ArgumentArity.ZeroOrMore
        };
        Command command = new("devices",
            "Lists the devices that training can run on, and why the others are not there.\n\nExamples:\n  ortcpr devices\n  ortcpr "
            + "devices webgpu:plugins/webgpu") { more };
        command.SetAction(r =>
        {
            foreach (DeviceInfo device in DeviceCatalog.List(r.GetValue(more) ?? []))
                Console.WriteLine($"{(device.Available ? "available" : "missing  ")}  {device.Name,-10}  {device.Description}");
            if (r.GetValue(more) is null or [])
            {
                Console.WriteLine("           webgpu:PATH  not tried: give the path of ONNX Runtime's WebGPU provider plugin");
            }
            return 0;
        });
        return command;
    }
}
