#!/bin/sh
# Lets the workers leave whose numbers a smaller set has no pod for any more. Run each
# minute by the CronJob nemeses-leaver; asks and tells the cluster through kubectl only.
set -eu

# The ConfigMap nemeses-numbers remembers the most workers of each kind there were.
most() { kubectl get configmap nemeses-numbers -o "jsonpath={.data.$1}" 2>/dev/null || true; }
remember() {
    kubectl create configmap nemeses-numbers --dry-run=client -o name >/dev/null
    kubectl patch configmap nemeses-numbers -p "{\"data\":{\"$1\":\"$2\"}}" >/dev/null 2>&1 ||
        kubectl create configmap nemeses-numbers "--from-literal=$1=$2" >/dev/null
}

for kind in parser dbexport; do
    wanted=$(kubectl get statefulset "nemeses-$kind" -o 'jsonpath={.spec.replicas}')
    before=$(most "$kind")
    before=${before:-$wanted}
    left=$wanted
    # A number that works again must not be told to leave.
    number=0
    while [ "$number" -lt "$wanted" ]; do
        kubectl delete job "nemeses-$kind-leave-$number" --ignore-not-found --wait=true >/dev/null
        number=$((number + 1))
    done
    for number in $(seq "$wanted" $((before - 1))); do
        job=nemeses-$kind-leave-$number
        # Its pod still works: it drains until it is gone.
        if kubectl get pod "nemeses-$kind-$number" >/dev/null 2>&1; then
            left=$((number + 1))
            continue
        fi
        state=$(kubectl get job "$job" -o 'jsonpath={.status.succeeded}' 2>/dev/null || echo none)
        case $state in
        none)
            kubectl create job "$job" --from="cronjob/nemeses-$kind-leave" --dry-run=client -o json |
                sed "s/\"env\": \[/\"env\": [{\"name\": \"NEMESES_WORKER\", \"value\": \"$number\"},/" |
                kubectl create -f - >/dev/null
            echo "$kind $number leaves"
            left=$((number + 1))
            ;;
        1) echo "$kind $number has left" ;;
        *) left=$((number + 1)) ;;
        esac
    done
    [ "$left" = "$before" ] && [ -n "$(most "$kind")" ] || remember "$kind" "$left"
done
