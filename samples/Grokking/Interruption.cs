using System.Runtime.InteropServices;

namespace Grokking;

// Ctrl-C (and a request to terminate): the first one asks the run to finish its step and save, the second one ends the process at once.
internal sealed class Interruption : IDisposable
{
    private const int AfterInterrupt = 130, AfterTerminate = 143;
    private readonly PosixSignalRegistration[] _registrations;
    private readonly Func<bool>? _instead;
    private volatile int _exitCode;

    public Interruption() => _registrations =
    [
        PosixSignalRegistration.Create(PosixSignal.SIGINT, context => Ask(context, AfterInterrupt)),
        PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => Ask(context, AfterTerminate)),
    ];

    // For tests: asked before each step in place of signals.
    internal Interruption(Func<bool> instead) => (_registrations, _instead) = ([], instead);

    public bool IsRequested
    {
        get
        {
            if (_instead?.Invoke() == true) _exitCode = AfterInterrupt;
            return _exitCode != 0;
        }
    }

    // 128 + the number of the signal, as shells expect.
    public int ExitCode => _exitCode;

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations) registration.Dispose();
    }

    private void Ask(PosixSignalContext context, int exitCode)
    {
        context.Cancel = !IsRequested;
        _exitCode = exitCode;
    }
}
